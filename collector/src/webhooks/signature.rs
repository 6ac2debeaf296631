// SPDX-License-Identifier: GPL-3.0-or-later
//! Secrets and signatures of webhooks (Standard Webhooks, symmetric).
//!
//! Design note: no secret is kept. Each is derived from the key file, the webhook and its generation; a rotation is the
//! next generation, and for a day the one before signs as well, so that receivers can change over in their own time.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use common::{db::webhooks::Webhook, keys::KeyRing};
use ring::hmac;
use uuid::Uuid;

const CONTEXT: &str = "fairtrack 2026-11 webhook secrets";
const OVERLAP: TimeDelta = TimeDelta::days(1);

/// Returns the secret as receivers keep it: `whsec_…`.
pub fn secret(keys: &KeyRing, webhook: &Webhook) -> String {
    let bytes = bytes(keys, webhook, webhook.generation);
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// Returns the value of `webhook-signature`: one signature, or two while secrets overlap.
pub fn sign(keys: &KeyRing, webhook: &Webhook, id: Uuid, now: DateTime<Utc>, body: &str) -> String {
    let is_overlapping = webhook
        .rotated_at
        .is_some_and(|rotated| now - rotated < OVERLAP);
    let generations = if is_overlapping {
        vec![webhook.generation, webhook.generation - 1]
    } else {
        vec![webhook.generation]
    };
    let signed = format!("{id}.{}.{body}", now.timestamp());
    let signatures: Vec<String> = generations
        .into_iter()
        .map(|generation| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(keys, webhook, generation));
            let tag = hmac::sign(&key, signed.as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        })
        .collect();
    signatures.join(" ")
}

fn bytes(keys: &KeyRing, webhook: &Webhook, generation: i32) -> [u8; 32] {
    let name = format!(
        "{} {} {} {generation}",
        webhook.controller_id, webhook.user_id, webhook.id
    );
    let hash = blake3::keyed_hash(&keys.derived(CONTEXT), name.as_bytes());
    *hash.as_bytes()
}
