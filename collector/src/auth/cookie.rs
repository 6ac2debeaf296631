// SPDX-License-Identifier: GPL-3.0-or-later
//! The cookies: of this host only, not readable by scripts, not sent along by other sites' forms.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
};
use common::config::Controller;

use crate::{auth::sign_in::SESSION_DAYS, oidc::COOKIE_MINUTES};

/// Makes the cookie that carries a session's secret.
pub fn session_cookie(controller: &Controller, secret: String) -> Cookie<'static> {
    let age = Duration::days(SESSION_DAYS);
    cookie(name(is_secure(controller)), controller, secret, age)
}

/// Makes the cookie that takes the session's place when it ends.
pub fn end_cookie(controller: &Controller) -> Cookie<'static> {
    let name = name(is_secure(controller));
    cookie(name, controller, String::new(), Duration::ZERO)
}

/// Returns the secret that a browser showed.
pub fn session_secret(request: &HttpRequest, controllers: &[&Controller]) -> Option<String> {
    let name = name(controllers.iter().any(|controller| is_secure(controller)));
    let cookie = request.cookie(name)?;
    (cookie.value().len() == SECRET_LENGTH).then(|| cookie.value().to_owned())
}

/// Makes the cookie that carries an attempt to sign in at a provider.
pub fn attempt_cookie(controller: &Controller, value: String) -> Cookie<'static> {
    let age = Duration::minutes(COOKIE_MINUTES);
    cookie(attempt_name(is_secure(controller)), controller, value, age)
}

/// Makes the cookie that takes its place when the attempt is over.
pub fn end_attempt_cookie(controller: &Controller) -> Cookie<'static> {
    let name = attempt_name(is_secure(controller));
    cookie(name, controller, String::new(), Duration::ZERO)
}

/// Returns the attempt that a browser showed.
pub fn attempt_value(request: &HttpRequest, controllers: &[&Controller]) -> Option<String> {
    let name = attempt_name(controllers.iter().any(|controller| is_secure(controller)));
    Some(request.cookie(name)?.value().to_owned())
}

/// Makes the cookie that says that a browser has just signed out here, and so may be sent to sign out of the provider.
/// Not sent along by anything on other sites, not even by their links and images.
pub fn left_cookie(controller: &Controller) -> Cookie<'static> {
    let age = Duration::minutes(COOKIE_MINUTES);
    left(controller, "1".into(), age)
}

/// Makes the cookie that takes its place once the browser has been sent there.
pub fn end_left_cookie(controller: &Controller) -> Cookie<'static> {
    left(controller, String::new(), Duration::ZERO)
}

/// Tells whether a browser has just signed out.
pub fn has_left(request: &HttpRequest, controllers: &[&Controller]) -> bool {
    let is_secure = controllers.iter().any(|controller| is_secure(controller));
    request
        .cookie(left_name(is_secure))
        .is_some_and(|cookie| !cookie.value().is_empty())
}

fn left(controller: &Controller, value: String, age: Duration) -> Cookie<'static> {
    let name = left_name(is_secure(controller));
    let mut cookie = cookie(name, controller, value, age);
    cookie.set_same_site(SameSite::Strict);
    cookie
}

fn cookie(
    name: &'static str,
    controller: &Controller,
    value: String,
    age: Duration,
) -> Cookie<'static> {
    let is_secure = is_secure(controller);
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure)
        .max_age(age)
        .finish()
}

/// The cookie's names, over https and over plain http, which is for loopback only. `__Host-` makes browsers refuse it
/// from anybody but this host.
pub(crate) const NAMES: [&str; 2] = ["__Host-fairtrack", "fairtrack"];
/// How long a secret is that a cookie carries.
pub(crate) const SECRET_LENGTH: usize = 43;

fn name(is_secure: bool) -> &'static str {
    let [secure, plain] = NAMES;
    if is_secure { secure } else { plain }
}

fn attempt_name(is_secure: bool) -> &'static str {
    if is_secure {
        "__Host-fairtrack-oidc"
    } else {
        "fairtrack-oidc"
    }
}

fn left_name(is_secure: bool) -> &'static str {
    if is_secure {
        "__Host-fairtrack-left"
    } else {
        "fairtrack-left"
    }
}

fn is_secure(controller: &Controller) -> bool {
    controller.public_url.starts_with("https:")
}
