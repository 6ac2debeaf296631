// SPDX-License-Identifier: GPL-3.0-or-later
//! Forms from our own pages: without the session's token they are not looked at.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    web::{Bytes, Data, Query},
};
use serde::{Deserialize, de::DeserializeOwned};
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::{
    current_user::CurrentUser,
    origin::{Origin, origin},
    site::controllers_at,
};
use crate::{failure::Failure, state::State};

/// A form that a signed-in user sent from one of our pages.
pub struct CheckedForm<T> {
    pub current: CurrentUser,
    pub form: T,
}

/// A form of somebody who is not signed in, sent from one of our pages.
pub struct OwnForm<T>(pub T);

/// A form with nothing but a button.
#[derive(Deserialize)]
pub struct Nothing {}

impl<T: DeserializeOwned + 'static> FromRequest for CheckedForm<T> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let current = CurrentUser::from_request(request, payload);
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let current = current.await?;
            let body = body.await.map_err(unreadable)?;
            let shown = form_urlencoded::parse(&body)
                .find(|(name, _)| name == "csrf")
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default();
            let expected = current.csrf();
            let is_ours = shown.as_bytes().ct_eq(expected.as_bytes());
            if expected.is_empty() || !bool::from(is_ours) {
                return Err(Failure::Foreign);
            }
            let form = read(&body)?;
            Ok(Self { current, form })
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for OwnForm<T> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_foreign = request.app_data::<Data<State>>().is_none_or(|state| {
            origin(request, &controllers_at(request, state)) == Origin::Foreign
        });
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            if is_foreign {
                return Err(Failure::Foreign);
            }
            read(&body.await.map_err(unreadable)?).map(Self)
        })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // A form's body is written as a query is.
    let text = std::str::from_utf8(body).unwrap_or_default();
    let form = Query::from_query(text);
    form.map(Query::into_inner)
        .map_err(|error| Failure::BadRequest(format!("the form cannot be read: {error}")))
}

fn unreadable(error: actix_web::Error) -> Failure {
    Failure::BadRequest(format!("the request cannot be read: {error}"))
}
