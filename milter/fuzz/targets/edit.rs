// SPDX-License-Identifier: GPL-3.0-or-later
//! The whole edit: no panic, no failed self-check, and what was put in can be taken out.

#![no_main]

use std::sync::LazyLock;

use common::{
    config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
};
use libfuzzer_sys::fuzz_target;
use milter::{
    control::Links,
    instrument::{Plan, instrument, unwrap},
    message::{Eml, Message},
};
use uuid::Uuid;

static CONFIG: LazyLock<Config> = LazyLock::new(Config::for_testing);
static KEYS: LazyLock<KeyRing> = LazyLock::new(KeyRing::for_testing);

fuzz_target!(|raw: &[u8]| {
    let eml = Eml::parse(raw);
    assert_eq!(eml.to_bytes(), raw);
    let message = eml.message();
    let plan = Plan {
        controller: CONFIG.controllers.first().expect("one"),
        controllers: &CONFIG.controllers,
        keys: &KEYS,
        language: Language::Fr,
        message: MessageId(Uuid::from_u128(1)),
        opens: true,
        links: Links::Both,
    };
    match instrument(message, &plan) {
        Err(reason) => assert_ne!(reason, SkipReason::CheckFailed),
        Ok(instrumented) => {
            let mut new = Message {
                fields: message.fields.clone(),
                body: instrumented.body,
            };
            new.apply(&instrumented.header_edits);
            let restored = unwrap(&new, &KEYS, &["https://track.example.com"]);
            assert!(restored.expect("the result is what was meant").is_some());
        }
    }
});
