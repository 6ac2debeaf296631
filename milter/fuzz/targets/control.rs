// SPDX-License-Identifier: GPL-3.0-or-later
//! Header sections: what is said once is removed, so that it is not said again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use milter::{
    control,
    eligibility::{EnvelopeSender, check},
    message::Eml,
};

fuzz_target!(|raw: &[u8]| {
    let mut eml = Eml::parse(raw);
    let recipients = ["notrack@track.example.com".to_owned()];
    let said = control::read(&eml.message().fields, &recipients, "track.example.com");
    eml.apply(&said.edits);
    let again = control::read(&eml.message().fields, &[], "track.example.com");
    assert!(again.edits.is_empty());
    let _any_verdict = check(eml.message(), EnvelopeSender::Address);
});
