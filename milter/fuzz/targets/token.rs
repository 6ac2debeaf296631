// SPDX-License-Identifier: GPL-3.0-or-later
//! Tokens and tracking URLs out of strangers' bytes: nothing verifies that we did not sign.

#![no_main]

use std::sync::LazyLock;

use common::{keys::KeyRing, token, tracking_url};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<KeyRing> = LazyLock::new(KeyRing::for_testing);

fuzz_target!(|text: &str| {
    let _any = token::read(text);
    assert!(token::open(&KEYS, text, token::Use::Open).is_none());
    if let Some(artefact) = tracking_url::recognise("https://track.example.com", text) {
        assert!(tracking_url::verify(&KEYS, &artefact).is_none());
    }
    let _any = tracking_url::destination_of(text);
});
