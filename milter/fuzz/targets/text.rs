// SPDX-License-Identifier: GPL-3.0-or-later
//! Links in plain text: every edit passes its check.

#![no_main]

use std::sync::LazyLock;

use common::{
    config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
};
use libfuzzer_sys::fuzz_target;
use milter::{
    control::Links,
    instrument::{Plan, instrument},
    message::Message,
};
use uuid::Uuid;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::for_testing);
static KEYS: LazyLock<KeyRing> = LazyLock::new(KeyRing::for_testing);

fuzz_target!(|text: &[u8]| {
    let mut raw = b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n".to_vec();
    raw.extend_from_slice(text);
    let plan = Plan {
        controller: CONFIG.controllers.first().expect("one"),
        controllers: &CONFIG.controllers,
        keys: &KEYS,
        language: Language::Pl,
        message: MessageId(Uuid::from_u128(1)),
        opens: false,
        links: Links::Text,
    };
    if let Err(reason) = instrument(&Message::parse(&raw), &plan) {
        assert_ne!(reason, SkipReason::CheckFailed);
    }
});
