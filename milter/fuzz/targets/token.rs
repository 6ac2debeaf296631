// SPDX-License-Identifier: GPL-3.0-or-later
//! Tokens and tracking URLs out of strangers' bytes: nothing verifies but what we would sign ourselves. The seed is a link
//! that was signed, so that some of what comes of it verifies.

#![no_main]

use std::sync::LazyLock;

use common::{
    keys::KeyRing,
    token,
    tracking_url::{self, Artefact},
};
use libfuzzer_sys::fuzz_target;

const BASE: &str = "https://track.example.com";

static KEYS: LazyLock<KeyRing> = LazyLock::new(KeyRing::for_testing);

fuzz_target!(|text: &str| {
    let _any = token::read(text);
    assert!(token::open(&KEYS, text, token::Use::Open).is_none());
    if let Some(artefact) = tracking_url::recognise(BASE, text)
        && let Some(opened) = tracking_url::verify(&KEYS, &artefact)
    {
        let message = opened.message;
        let (token, signed) = match &artefact {
            Artefact::Choices { token } => (token, tracking_url::choices(BASE, &KEYS, message)),
            Artefact::Link { token, destination } => (
                token,
                tracking_url::link(BASE, &KEYS, message, opened.ordinal, destination),
            ),
            Artefact::Pixel { token } => (token, tracking_url::pixel(BASE, &KEYS, message)),
        };
        assert!(signed.contains(token));
    }
    let _any = tracking_url::destination_of(text);
});
