// SPDX-License-Identifier: GPL-3.0-or-later
//! `Idempotency-Key`: a program that does not know whether its request arrived sends it again under the same name, gets
//! the first answer, and nothing is done twice.
//!
//! A request that failed did nothing and may be made anew. An answer that holds a secret is not kept: under its name
//! there is nothing more to be had than that it was done. A request is carried through even if whoever made it goes
//! away meanwhile, so that its name never stands for something half done.

use actix_http::h1;
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody, to_bytes},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
    rt,
    web::{Bytes, Data},
};
use chrono::Utc;
use common::{
    db::idempotent_answers::{self as kept, Kept, Named},
    keys::KeyRing,
};

use crate::{auth::CurrentUser, failure::Failure, state::State};

const FIELD: &str = "idempotency-key";
const LONGEST: usize = 100;

/// What marks an answer that holds a secret.
struct Secretive;

/// Marks an answer that holds a secret, so that it is not kept.
pub(super) fn secretive(mut answer: HttpResponse) -> HttpResponse {
    answer.extensions_mut().insert(Secretive);
    answer
}

/// Wraps the API: does named requests once.
///
/// # Errors
///
/// Fails where the wrapped service fails.
pub async fn once(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let name = request.headers().get(FIELD).cloned();
    let Some(name) = name.filter(|_| request.method() == Method::POST) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let name = name.to_str().unwrap_or_default().to_owned();
    match prepare(&mut request, &name).await {
        Ok(Turn::First(task)) => {
            let call = next.call(request);
            let carried_through = rt::spawn(async move {
                let response = call.await?.map_into_boxed_body();
                finish(task, &name, response).await
            });
            carried_through
                .await
                .map_err(|_panicked| Failure::Internal("a request was not carried through"))?
        }
        Ok(Turn::Again(answer)) => Ok(request.into_response(answer)),
        Err(failure) => Ok(request.error_response(failure)),
    }
}

enum Turn {
    Again(HttpResponse),
    First(Box<Task>),
}

struct Task {
    current: CurrentUser,
    state: Data<State>,
}

async fn prepare(request: &mut ServiceRequest, name: &str) -> Result<Turn, Failure> {
    let is_name = (1..=LONGEST).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic());
    if !is_name {
        return Err(Failure::BadRequest(format!(
            "\"Idempotency-Key\" must be 1 to {LONGEST} printable characters"
        )));
    }
    let current = request.extract::<CurrentUser>().await?;
    let body = request
        .extract::<Bytes>()
        .await
        .map_err(|_unread| Failure::TooLarge)?;
    let state = request
        .app_data::<Data<State>>()
        .ok_or(Failure::Internal("the application has no state"))?
        .clone();
    let hash = fingerprint(&state.keys, request.path(), &body);
    request.set_payload(payload(body));
    let named = named(&current, name);
    let mut connection = state.db.get().await?;
    if !kept::claim(named, &hash, Utc::now(), &mut connection).await? {
        let kept = kept::find(named, &mut connection).await?;
        return again(kept, &hash).map(Turn::Again);
    }
    drop(connection);
    Ok(Turn::First(Box::new(Task { current, state })))
}

async fn finish(
    task: Box<Task>,
    name: &str,
    response: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let named = named(&task.current, name);
    let mut connection = match task.state.db.get().await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!("an answer was not kept: {error}");
            return Ok(response);
        }
    };
    if !response.status().is_success() {
        if let Err(error) = kept::release(named, &mut connection).await {
            tracing::warn!("a name was not given back: {error}");
        }
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body = to_bytes(body)
        .await
        .map_err(|_broken| Failure::Internal("an answer was not written"))?;
    let is_secretive = head.extensions().contains::<Secretive>();
    let shown = (!is_secretive).then_some(&*body);
    let status = i16::try_from(head.status().as_u16()).unwrap_or_default();
    // What was done was done: the answer is worth more than its copy.
    if let Err(error) = kept::keep(named, status, shown, &mut connection).await {
        tracing::warn!("an answer was not kept: {error}");
    }
    let response = head.set_body(body).map_into_boxed_body();
    Ok(ServiceResponse::new(request, response))
}

fn again(kept: Option<Kept>, hash: &[u8]) -> Result<HttpResponse, Failure> {
    let conflict = |text: &str| Err(Failure::Conflict(text.into()));
    match kept {
        Some(kept) if kept.request_hash != hash => Err(Failure::Unprocessable(
            "this \"Idempotency-Key\" stands for another request".into(),
        )),
        Some(Kept {
            status: Some(status),
            body: Some(body),
            ..
        }) => {
            let status = u16::try_from(status)
                .ok()
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::OK);
            Ok(HttpResponse::build(status)
                .content_type("application/json")
                .body(body))
        }
        Some(Kept {
            status: Some(_), ..
        }) => conflict("this was done; what it answered holds a secret, which is shown once"),
        _ => conflict("the request with this \"Idempotency-Key\" is still being worked on"),
    }
}

fn named<'a>(current: &'a CurrentUser, name: &'a str) -> Named<'a> {
    Named {
        controller: current.controller_id(),
        user: current.id(),
        name,
    }
}

/// Returns a keyed hash of a request: a body may hold no more than an address, which could else be guessed from it.
fn fingerprint(keys: &KeyRing, path: &str, body: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_keyed(&keys.derived(CONTEXT));
    hasher.update(path.as_bytes()).update(b"\0").update(body);
    hasher.finalize().as_bytes().to_vec()
}

/// Says the use of the key; see [`KeyRing::derived`].
const CONTEXT: &str = "fairtrack 2026-11 idempotent requests";

fn payload(body: Bytes) -> Payload {
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(body);
    Payload::from(payload)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    #[test]
    fn fingerprint_cannot_be_guessed_without_the_key() {
        let ours = KeyRing::for_testing();
        let others = KeyRing::throw_away(Utc::now()).unwrap();
        let (path, body) = (
            "/api/v1/consent-requests",
            b"{\"recipient\":\"a@b.example\"}",
        );

        let known = fingerprint(&ours, path, body);

        assert_eq!(known, fingerprint(&ours, path, body));
        assert_ne!(known, fingerprint(&others, path, body));
        assert_ne!(known, fingerprint(&ours, "/api/v1/consents", body));
    }
}
