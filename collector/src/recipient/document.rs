// SPDX-License-Identifier: GPL-3.0-or-later
//! Documents about one person, as JSON and as readable text: the receipt of a choice, everything that is stored (GDPR,
//! Articles 15 and 20), and the proof of consent. They hold nobody else's data.
//!
//! The shape follows ISO/IEC TS 27560 as the W3C's Data Privacy Vocabularies group maps it: header, processing, events.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    address::Address,
    config::{Config, ConsentRule, Controller},
    consent::chain::{hex, instant},
    db::{
        Connection, DbError, acts,
        consent_events::{self, Recorded},
        consent_requests, notices, observed, standings, users,
    },
    ids::{SubjectRef, UserId},
    keys::KeyRing,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::claim::withdrawal_url;

/// The version of the shape.
pub const SCHEMA: &str = "fairtrack-consent/1";

/// What a document goes into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// Everything that is stored about the person.
    Everything,
    /// What a data-protection officer shows: events, evidence, texts, chain.
    Proof,
    /// What the person keeps: choices and texts.
    Receipt,
}

/// About whom a document is.
pub struct About<'a> {
    pub config: &'a Config,
    pub controller: &'a Controller,
    pub keys: &'a KeyRing,
    pub subject: SubjectRef,
    pub address: &'a Address,
}

/// Gathers a document.
///
/// # Errors
///
/// Fails if the database does.
pub async fn gather(
    about: &About<'_>,
    depth: Depth,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Value, DbError> {
    let id = &about.controller.id;
    let events = consent_events::of_subject(id, about.subject, connection).await?;
    let evidence = consent_events::evidence_of_subject(id, about.subject, connection).await?;
    let hashes: Vec<Vec<u8>> = events
        .iter()
        .filter_map(|event| event.notice_hash.clone())
        .collect();
    let texts = notices::with_hashes(id, &hashes, connection).await?;
    let names = names_of_senders(about, &events, connection).await?;

    let mut document = header(about, now);
    let notices = texts.iter().map(|text| {
        json!({
            "kind": text.kind, "version": text.version, "language": text.language,
            "valid_from": instant(text.valid_from), "sha256": hex(&text.hash), "text": text.body,
        })
    });
    document.insert("notices".into(), notices.collect());
    let listed = events
        .iter()
        .map(|event| described(event, &names, evidence.get(&event.seq), depth));
    document.insert("events".into(), listed.collect());
    if depth == Depth::Everything {
        let standing = standings::by_subject(id, &[about.subject], about.keys, connection)
            .await?
            .remove(&about.subject)
            .unwrap_or_default();
        document.insert("frozen".into(), standing.is_restricted.into());
        document.insert("never_ask".into(), standing.is_suppressed.into());
        let messages = messages(about, connection).await?;
        document.insert("messages".into(), messages);
        document.insert("asked".into(), asked(about, connection).await?);
        // By whom is the organisation's own affair; that, and when, is the person's.
        let acts = acts::about(id, about.subject, connection).await?;
        let acts = acts
            .into_iter()
            .map(|(at, act)| json!({"at": instant(at), "act": act}));
        document.insert(
            "looked_at_or_changed_by_administrators".into(),
            acts.collect(),
        );
    }
    Ok(Value::Object(document))
}

/// Returns a document as text: an outline with one fact on a line.
pub fn text(document: &Value) -> String {
    let mut lines = String::new();
    outline(document, 0, &mut lines);
    lines
}

fn header(about: &About<'_>, now: DateTime<Utc>) -> Map<String, Value> {
    let (controller, retention) = (about.controller, &about.config.retention);
    let basis = match (controller.consent, controller.basis.as_deref()) {
        (ConsentRule::NotRequired, Some(basis)) => basis,
        _ => "consent: GDPR, Article 6(1)(a); Directive 2002/58/EC, Article 5(3)",
    };
    let days = |period: common::config::Period| format!("P{}D", period.0.as_secs() / 86_400);
    let withdrawal = withdrawal_url(controller.base_url(), about.keys, about.subject);
    let processing = |purpose: &str, description: &str, data: &[&str]| {
        json!({
            "purpose": purpose, "description": description, "data": data, "sensitive": false,
            "storage": "servers of the controller and of those who operate them on its behalf",
            "jurisdiction": controller.authority,
            "lawful_basis": basis, "collection": "requests of the recipient's mail program",
            "recipients": ["the sender of the message"], "retention": days(retention.hits),
            "recording_window": days(retention.recording_window),
            "withdrawal": {"url": withdrawal, "method": "page, or one POST with Tracking-Consent=Withdraw"},
        })
    };
    let common_data = [
        "time",
        "kind of mail program",
        "label of the network",
        "person or machine",
    ];
    let with = |more: &'static [&'static str]| -> Vec<&str> {
        common_data.iter().chain(more).copied().collect()
    };
    let value = json!({
        "schema_version": SCHEMA,
        "record_id": about.subject.0,
        "document_id": Uuid::new_v4(),
        "created_at": instant(common::consent::chain::storable(now)),
        "subject_ref": about.subject.0,
        "address": about.address.as_str(),
        "controller": {
            "name": controller.name, "address": controller.address, "contact": controller.contact,
            "dpo": controller.dpo, "role": "controller", "authority": controller.authority,
        },
        "processing": [
            processing("open", "see when the images of messages are loaded", &with(&[])),
            processing("click", "see when the links of messages are followed",
                &with(&["number, host and visible text of the link"])),
        ],
        "rights": "access, copy, rectification, erasure, restriction, objection, complaint; see the notice",
    });
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn described(
    event: &Recorded,
    names: &HashMap<Uuid, String>,
    evidence: Option<&Value>,
    depth: Depth,
) -> Value {
    let scope = match event.scope_user {
        None => json!({"kind": "controller"}),
        Some(user) => json!({"kind": "sender", "name": names.get(&user)}),
    };
    let mut described = json!({
        "event_id": event.event_id, "seq": event.seq, "purpose": event.purpose, "scope": scope,
        "state": event.state, "event_type": "expressed", "entity": event.author, "assurance": event.assurance,
        "method": event.method, "at": instant(event.at), "effective_at": instant(event.effective_at),
        "valid_until": event.expires_at.map(instant), "profile": event.profile, "language": event.language,
        "notice_sha256": event.notice_hash.as_deref().map(hex),
    });
    if let Value::Object(members) = &mut described
        && depth != Depth::Receipt
    {
        members.insert("evidence".into(), evidence.cloned().unwrap_or_default());
        members.insert("evidence_sha256".into(), hex(&event.evidence_sha256).into());
        members.insert("prev_hash".into(), hex(&event.prev_hash).into());
        members.insert("entry_hash".into(), hex(&event.entry_hash).into());
        let holds = event.computed_hash() == event.entry_hash.as_slice();
        members.insert("entry_hash_holds".into(), holds.into());
    }
    described
}

async fn names_of_senders(
    about: &About<'_>,
    events: &[Recorded],
    connection: &mut Connection,
) -> Result<HashMap<Uuid, String>, DbError> {
    let mut names = HashMap::new();
    for user in events.iter().filter_map(|event| event.scope_user) {
        if names.contains_key(&user) {
            continue;
        }
        if let Some(found) = users::get(&about.controller.id, UserId(user), connection).await? {
            names.insert(user, found.display_name.unwrap_or(found.login));
        }
    }
    Ok(names)
}

async fn messages(about: &About<'_>, connection: &mut Connection) -> Result<Value, DbError> {
    let id = &about.controller.id;
    let retention = &about.config.retention;
    let sent = observed::of_subject(id, about.subject, connection).await?;
    let ids: Vec<Uuid> = sent.iter().map(|message| message.id).collect();
    let mut shared = observed::shared(id, &ids, connection).await?;
    shared.extend(
        sent.iter()
            .filter(|message| message.to_several)
            .map(|message| message.id),
    );
    let own: Vec<Uuid> = ids.into_iter().filter(|id| !shared.contains(id)).collect();
    let mut hits: HashMap<Uuid, Vec<Value>> = HashMap::new();
    for hit in observed::hits_of(id, &own, connection).await? {
        hits.entry(hit.message_id).or_default().push(json!({
            "kind": hit.kind, "at": instant(hit.at), "class": hit.class, "features": hit.features,
            "link": (hit.ordinal > 0).then(|| json!({"number": hit.ordinal, "host": hit.host})),
        }));
    }
    let listed = sent.iter().map(|message| {
        let is_shared = shared.contains(&message.id);
        json!({
            "id": message.id, "sent_at": instant(message.sent_at), "subject": message.subject,
            "sender": message.display_name.as_ref().unwrap_or(&message.login),
            "opens": message.opens, "links": message.links, "stopped_at": message.stopped_at.map(instant),
            "recorded_until": instant(message.sent_at + retention.recording_window.delta()),
            "deleted_after": instant(message.sent_at + retention.messages.delta()),
            "seen_by": "its sender",
            "hits": hits.remove(&message.id).unwrap_or_default(),
            "note": is_shared.then_some("went to several people; its hits cannot be told apart and are not shown"),
        })
    });
    Ok(listed.collect())
}

/// Returns when the person was asked for consent, by mail or by a line in a message, and by whom.
async fn asked(about: &About<'_>, connection: &mut Connection) -> Result<Value, DbError> {
    let id = &about.controller.id;
    let hash = standings::suppression_hash(about.keys, about.address);
    let mut listed = Vec::new();
    for (at, user) in consent_requests::of_address(id, &hash, connection).await? {
        let by = match user {
            Some(user) => users::get(id, user, connection).await?,
            None => None,
        };
        listed.push(json!({
            "at": instant(at), "by": by.map(|user| user.display_name.unwrap_or(user.login)),
            "how": if user.is_some() { "mail" } else { "a line in a message" },
        }));
    }
    Ok(listed.into())
}

fn outline(value: &Value, depth: usize, lines: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('_', " ");
                match member {
                    Value::Object(_) | Value::Array(_) => {
                        lines.push_str(&format!("{indent}{name}:\n"));
                        outline(member, depth + 1, lines);
                    }
                    Value::Null => {}
                    scalar => {
                        lines.push_str(&format!("{indent}{name}: {}\n", plain(scalar, depth)))
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(_) | Value::Array(_) => {
                        lines.push_str(&format!("{indent}-\n"));
                        outline(item, depth + 1, lines);
                    }
                    scalar => lines.push_str(&format!("{indent}- {}\n", plain(scalar, depth))),
                }
            }
        }
        scalar => lines.push_str(&format!("{indent}{}\n", plain(scalar, depth))),
    }
}

fn plain(scalar: &Value, depth: usize) -> String {
    match scalar {
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.contains('\n') => {
            let indent = "  ".repeat(depth + 1);
            text.lines()
                .map(|line| format!("\n{indent}{line}"))
                .collect()
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_has_one_fact_on_a_line() {
        let document =
            json!({"a_b": 1, "list": ["x", {"c": true}], "long": "one\ntwo", "none": null});

        assert_eq!(
            text(&document),
            "a b: 1\nlist:\n  - x\n  -\n    c: yes\nlong: \n  one\n  two\n"
        );
    }
}
