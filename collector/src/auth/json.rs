// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON from a program of a user: who is asking is found out before what is asked is looked at.

use std::{fmt, future::Future, marker::PhantomData, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, error::JsonPayloadError, web::Json};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

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
        let body = Json::<Object<T>>::from_request(request, payload);
        Box::pin(async move {
            let current = current.await?;
            let body = body.await.map_err(|error| refusal(&error))?;
            Ok(Self {
                current,
                body: body.into_inner().0,
            })
        })
    }
}

/// A JSON object, which names what it sets. An array would be taken for the same values without their names.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        opens: Option<bool>,
    }

    #[test]
    fn only_an_object_is_taken() {
        let read =
            |text: &str| serde_json::from_str::<Object<Change>>(text).map(|read| read.0.opens);

        assert_eq!(read(r#"{"opens": false}"#).unwrap(), Some(false));
        assert_eq!(read("{}").unwrap(), None);
        for text in ["[false]", "[]", "null", "1", r#"{"links": true}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
