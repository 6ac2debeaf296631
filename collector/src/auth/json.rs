// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON from a program of a user: who is asking is found out before what is asked is looked at.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::JsonPayloadError, web::Json};
use serde::de::DeserializeOwned;

use super::current_user::CurrentUser;
use crate::failure::Failure;

/// A body in JSON, sent by a user.
pub struct CheckedJson<T> {
    pub current: CurrentUser,
    pub body: T,
}

impl<T: DeserializeOwned + 'static> FromRequest for CheckedJson<T> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let current = CurrentUser::from_request(request, payload);
        let body = Json::<T>::from_request(request, payload);
        Box::pin(async move {
            let current = current.await?;
            let body = body.await.map_err(|error| refusal(&error))?;
            Ok(Self {
                current,
                body: body.into_inner(),
            })
        })
    }
}

fn refusal(error: &actix_web::Error) -> Failure {
    match error.as_error::<JsonPayloadError>() {
        Some(JsonPayloadError::ContentType) => Failure::MediaType,
        Some(JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. }) => {
            Failure::TooLarge
        }
        Some(JsonPayloadError::Deserialize(error)) => Failure::BadRequest(error.to_string()),
        _ => Failure::BadRequest("the body cannot be read".into()),
    }
}
