// SPDX-License-Identifier: GPL-3.0-or-later
//! One row of the CSV of consents: `address,purpose,state,scope,given_at,channel,evidence,notice`.
//!
//! A row that says no needs only address and state. Pure, but for the users whose logins are scopes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    address::Address,
    consent::{
        Author, Method, Profile, Purpose, Scope, Standing, State, Statement, admit, refusal,
    },
    ids::{SubjectRef, UserId},
};
use serde_json::json;
use uuid::Uuid;

use super::{record, time};
use crate::recipient::{
    attest::{self, Attestation, Attestor},
    choose::Books,
    fitness,
};

/// The columns, in the order in which they are written.
pub(super) const COLUMNS: [&str; 8] = [
    "address", "purpose", "state", "scope", "given_at", "channel", "evidence", "notice",
];

/// A row that makes sense by itself.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) address: Address,
    purposes: Vec<Purpose>,
    scope: Scope,
    says: Says,
}

#[derive(Clone, Debug)]
enum Says {
    No(State, String),
    Yes(Box<Attestation>),
}

/// What becomes of a row.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It cannot be taken; why.
    Bad(String),
    /// It is to be written down.
    New(Vec<Statement>),
    /// It stands already.
    Stands,
}

/// What a file's rows are read with.
pub(super) struct Reader<'a> {
    pub(super) books: Books<'a>,
    /// The place of each column, as the header has them.
    pub(super) places: HashMap<&'static str, usize>,
    /// The users, by login.
    pub(super) users: &'a HashMap<String, UserId>,
    pub(super) account: String,
    pub(super) file_sha256: String,
    pub(super) now: DateTime<Utc>,
}

/// Finds the columns in the header line.
pub(super) fn places(header: &csv::ByteRecord) -> Result<HashMap<&'static str, usize>, String> {
    let mut places = HashMap::new();
    for (place, name) in header.iter().enumerate() {
        let name = String::from_utf8_lossy(name);
        // Spreadsheets put a byte-order mark in front.
        let name = name.trim_start_matches('\u{feff}').trim();
        let column = COLUMNS
            .into_iter()
            .find(|column| *column == name)
            .ok_or_else(|| format!("unknown column \"{name}\"; known: {}", COLUMNS.join(",")))?;
        if places.insert(column, place).is_some() {
            return Err(format!("column \"{name}\" is there twice"));
        }
    }
    for needed in ["address", "state"] {
        if !places.contains_key(needed) {
            return Err(format!("column \"{needed}\" is missing"));
        }
    }
    Ok(places)
}

impl Reader<'_> {
    /// Reads a row; says what is wrong with it.
    pub(super) fn row(&self, line: u64, record: &csv::ByteRecord) -> Result<Row, String> {
        let field = |name: &'static str| -> Result<&str, String> {
            let Some(octets) = self.places.get(name).and_then(|place| record.get(*place)) else {
                return Ok("");
            };
            std::str::from_utf8(octets)
                .map(str::trim)
                .map_err(|_malformed| format!("\"{name}\" is not UTF-8"))
        };
        let address = Address::parse(field("address")?).ok_or("\"address\" is no mail address")?;
        let purposes = match field("purpose")? {
            "" | "both" => Purpose::ALL.to_vec(),
            word => vec![
                Purpose::from_code(word)
                    .ok_or_else(|| format!("\"purpose\" is \"{word}\", not open, click or both"))?,
            ],
        };
        let scope = self.scope(field("scope")?)?;
        let says = match field("state")? {
            "denied" => Says::No(State::Denied, field("channel")?.to_owned()),
            "withdrawn" => Says::No(State::Withdrawn, field("channel")?.to_owned()),
            "granted" => {
                if field("purpose")?.is_empty() {
                    return Err("\"purpose\" is required for \"granted\"".into());
                }
                let notice = match field("notice")? {
                    "" => None,
                    text => Some(record::hash(text).map_err(|what| format!("\"notice\": {what}"))?),
                };
                let attestation = Attestation {
                    address: address.clone(),
                    purposes: purposes.clone(),
                    scope,
                    given_at: time(field("given_at")?)
                        .map_err(|what| format!("\"given_at\": {what}"))?,
                    channel: field("channel")?.to_owned(),
                    evidence: field("evidence")?.to_owned(),
                    notice,
                    role_reason: None,
                };
                fitness::check(&attestation, self.books, self.now)
                    .map_err(|unfit| unfit.to_string())?;
                Says::Yes(Box::new(attestation))
            }
            other => {
                return Err(format!(
                    "\"state\" is \"{other}\", not granted, denied or withdrawn"
                ));
            }
        };
        Ok(Row {
            line,
            address,
            purposes,
            scope,
            says,
        })
    }

    /// Tells what becomes of a row, given what the person said before.
    pub(super) fn judge(&self, row: &Row, subject: SubjectRef, standing: &Standing) -> Outcome {
        let statements = match &row.says {
            Says::Yes(attestation) => {
                let attestor = Attestor::Import {
                    account: self.account.clone(),
                    file_sha256: self.file_sha256.clone(),
                    line: row.line,
                };
                attest::statements(attestation, &attestor, subject, self.books)
            }
            Says::No(state, channel) => row
                .purposes
                .iter()
                .filter(|purpose| refusal(standing, **purpose, row.scope).is_some())
                .map(|purpose| self.refused(row, subject, *purpose, *state, channel))
                .collect(),
        };
        if statements.is_empty() {
            return Outcome::Stands;
        }
        for statement in &statements {
            if let Err(reason) = admit(standing, statement) {
                return Outcome::Bad(reason.to_string());
            }
        }
        Outcome::New(statements)
    }

    fn refused(
        &self,
        row: &Row,
        subject: SubjectRef,
        purpose: Purpose,
        state: State,
        channel: &str,
    ) -> Statement {
        Statement {
            subject,
            purpose,
            scope: row.scope,
            state,
            author: Author::Import,
            expires_at: None,
            profile: Profile::CURRENT,
            notice: None,
            language: None,
            method: Method::Import,
            evidence: json!({
                "recorded_by": self.account,
                "channel": attest::kept(channel),
                "file_sha256": self.file_sha256,
                "line": row.line,
            }),
        }
    }

    fn scope(&self, text: &str) -> Result<Scope, String> {
        if matches!(text, "" | "controller" | "org") {
            return Ok(Scope::Controller);
        }
        let login = text.strip_prefix("sender:").unwrap_or(text).to_lowercase();
        self.users
            .get(&login)
            .map(|user| Scope::Sender(*user))
            .ok_or_else(|| format!("\"scope\" is \"{text}\", not controller or a user's login"))
    }
}

impl Row {
    /// Says in a few words what the row states.
    pub(super) fn words(&self) -> String {
        let purposes: Vec<&str> = self.purposes.iter().map(|purpose| purpose.code()).collect();
        let state = match &self.says {
            Says::No(state, _) => state.code(),
            Says::Yes(_) => State::Granted.code(),
        };
        format!("{state} {}", purposes.join(","))
    }
}

/// Stands for a subject who does not exist yet, while rows are only checked.
pub(super) const NOBODY: SubjectRef = SubjectRef(Uuid::nil());

#[cfg(test)]
mod tests {
    use common::{config::Config, keys::KeyRing};

    use super::*;

    fn read(header: &[&str], fields: &[&[u8]]) -> Result<String, String> {
        let config = Config::for_testing();
        let keys = KeyRing::for_testing();
        let users = HashMap::from([("anna@example.com".to_owned(), UserId(Uuid::from_u128(1)))]);
        let reader = Reader {
            books: Books {
                config: &config,
                controller: &config.controllers[0],
                keys: &keys,
            },
            places: places(&csv::ByteRecord::from(header.to_vec()))?,
            users: &users,
            account: "root".into(),
            file_sha256: String::new(),
            now: DateTime::UNIX_EPOCH + chrono::TimeDelta::days(100),
        };
        reader
            .row(2, &csv::ByteRecord::from(fields.to_vec()))
            .map(|row| row.words())
    }

    #[test]
    fn no_needs_address_and_state_only() {
        assert_eq!(
            read(
                &["address", "state"],
                &[b"ewa@elsewhere.example", b"withdrawn"]
            )
            .unwrap(),
            "withdrawn click,open"
        );
    }

    /// C69: each malformed row says what is wrong with it.
    #[test]
    fn malformed_rows_are_named() {
        let whole: [&[u8]; 8] = [
            b"ewa@elsewhere.example",
            b"open",
            b"granted",
            b"anna@example.com",
            b"1970-02-01",
            b"paper",
            b"7",
            b"",
        ];
        assert_eq!(read(&COLUMNS, &whole).unwrap(), "granted open");
        let cases: [(usize, &[u8], &str); 9] = [
            (0, b"ewa", "address"),
            (0, b"info@elsewhere.example", "office"),
            (1, b"", "purpose"),
            (1, b"read", "purpose"),
            (2, b"yes", "state"),
            (3, b"carl@example.com", "scope"),
            (4, b"01.02.1970", "given_at"),
            (5, b"", "channel"),
            (6, b"\xff", "UTF-8"),
        ];
        for (place, value, word) in cases {
            let mut fields = whole;
            fields[place] = value;
            let complaint = read(&COLUMNS, &fields).unwrap_err();
            assert!(complaint.contains(word), "{complaint}");
        }
    }

    #[test]
    fn unknown_missing_and_double_columns_are_refused() {
        assert!(
            read(&["address", "status"], &[])
                .unwrap_err()
                .contains("status")
        );
        assert!(read(&["address"], &[]).unwrap_err().contains("state"));
        assert!(
            read(&["address", "state", "state"], &[])
                .unwrap_err()
                .contains("twice")
        );
    }
}
