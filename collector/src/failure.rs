// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a request of a user was not served.
//!
//! Pages show it as a page, the API as problem details (RFC 9457); both are made in one place each, `sender::answers`
//! and `api::answers`, from the status and these words.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use common::db::{DbError, QueryError};

use crate::mail::MailError;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was asked makes no sense; the words say why.
    #[error("{0}")]
    BadRequest(String),
    /// What is to be changed is no longer what was read.
    #[error("it was changed meanwhile; read it again")]
    Changed,
    /// It cannot be done as things stand; the words say why.
    #[error("{0}")]
    Conflict(String),
    /// The request came from another site's page, or without the form's token.
    #[error("the request did not come from one of our own pages")]
    Foreign,
    /// A body is not in the form that is asked for.
    #[error("the body must be application/json")]
    MediaType,
    /// There is no such thing, or it is somebody else's: the answer is the same.
    #[error("there is nothing here")]
    NotFound,
    /// Nobody is signed in.
    #[error("a session or an API token is required")]
    SignedOut,
    /// Well-formed, yet it cannot be done; the words say why.
    #[error("{0}")]
    Unprocessable(String),
    /// A body is longer than anything sensible.
    #[error("the body is too large")]
    TooLarge,
    /// Asked too often.
    #[error("too many requests; try again later")]
    TooOften,
    #[error("the database does not answer")]
    Database(#[from] DbError),
    #[error("the mail server does not serve; nobody was written to")]
    Mail(#[from] MailError),
    /// Something that should not happen.
    #[error("something went wrong here")]
    Internal(&'static str),
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Database(_) | Self::Mail(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The body is made later, where it is known whether a person or a program reads it.
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Database(error) => tracing::error!(error = %chain(error), "a request failed"),
            Self::Mail(error) => tracing::error!(error = %chain(error), "a request failed"),
            Self::Internal(what) => tracing::error!(what, "a request failed"),
            _ => {}
        }
        HttpResponse::new(self.status_code())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
