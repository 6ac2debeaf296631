// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that one message leaves in the database, in one statement: what the milter waits for before it answers.
//!
//! Design note: one statement is one transaction and one round trip. Written table by table it took eight, and a
//! statement of several rows is prepared anew each time. The text is constant, so that each connection prepares it once.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::{DatabaseErrorKind, Error},
    sql_types::{Array, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    messages::{NewMessage, Registration},
};
use crate::{address::Address, reason::SkipReason};

/// What became of a registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// Nothing is written: somebody else wrote down one of the recipients just now, or there is more than the statement
    /// knows of.
    Nothing,
    Whole,
}

/// Writes a message down with its recipients, or nothing.
pub(super) async fn write(
    registration: &Registration,
    connection: &mut Connection,
) -> QueryResult<Written> {
    if registration.remembered.is_some() || !registration.warnings.is_empty() {
        return Ok(Written::Nothing);
    }
    match Statement::new(registration).execute(connection).await {
        Ok(_) => Ok(Written::Whole),
        Err(Error::DatabaseError(DatabaseErrorKind::NotNullViolation, _)) => Ok(Written::Nothing),
        Err(error) => Err(error),
    }
}

/// The statement's parameters, columns as arrays.
struct Statement<'a> {
    message: &'a NewMessage,
    addresses: Vec<&'a str>,
    base_addresses: Vec<String>,
    subject_refs: Vec<Uuid>,
    reason: Option<&'static str>,
}

impl<'a> Statement<'a> {
    fn new(registration: &'a Registration) -> Self {
        let recipients = &registration.recipients;
        Self {
            message: &registration.message,
            addresses: recipients.iter().map(Address::as_str).collect(),
            base_addresses: recipients
                .iter()
                .map(|address| address.base().as_str().to_owned())
                .collect(),
            subject_refs: recipients.iter().map(|_| Uuid::new_v4()).collect(),
            reason: registration.message.reason.map(SkipReason::code),
        }
    }
}

impl QueryId for Statement<'_> {
    type QueryId = Statement<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let message = self.message;
        out.push_sql(MESSAGE);
        out.push_bind_param::<Text, _>(&message.controller.0)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&message.id.0)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&message.user.0)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&message.queue_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&message.message_id_header)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&message.subject)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&message.sent_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Bool, _>(&message.opens)?;
        out.push_sql(", ");
        out.push_bind_param::<Bool, _>(&message.links)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.reason)?;
        out.push_sql(", ");
        out.push_bind_param::<Jsonb, _>(&message.record)?;
        out.push_sql(WANTED);
        out.push_bind_param::<Array<Text>, _>(&self.addresses)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.base_addresses)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.subject_refs)?;
        out.push_sql(RECIPIENTS);
        Ok(())
    }
}

const MESSAGE: &str = "
    WITH message AS (
        INSERT INTO messages (controller_id, id, user_id, queue_id, message_id_header, subject, sent_at, opens, links,
            reason, record)
        VALUES (";

const WANTED: &str = ")
        RETURNING controller_id, id
    ), wanted AS (
        SELECT controller_id, address, base_address, fresh
        FROM message, unnest(";

/// A recipient whom another transaction wrote down meanwhile is neither made nor known: then the recipient of the last
/// line is missing, which the table refuses. All make recipients in the order of `subjects::find_or_create`, so that none
/// waits for another that waits for it.
const RECIPIENTS: &str = r#") AS given (address, base_address, fresh)
    ), made AS (
        INSERT INTO subjects (controller_id, subject_ref, address, base_address)
        SELECT controller_id, fresh, address, base_address FROM wanted
        WHERE NOT EXISTS (SELECT FROM subjects known
            WHERE known.controller_id = wanted.controller_id AND known.address = wanted.address)
        ORDER BY address COLLATE "C"
        ON CONFLICT DO NOTHING
        RETURNING subject_ref
    ), present AS (
        SELECT subject_ref FROM made
        UNION ALL
        SELECT known.subject_ref FROM wanted JOIN subjects known USING (controller_id, address)
    )
    INSERT INTO message_recipients (controller_id, message_id, subject_ref)
    SELECT controller_id, id, subject_ref FROM message, present
    UNION ALL
    SELECT controller_id, id, NULL FROM message
    WHERE (SELECT count(*) FROM present) < (SELECT count(*) FROM wanted)"#;
