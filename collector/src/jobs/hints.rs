// SPDX-License-Identifier: GPL-3.0-or-later
//! Who takes the recipients' mail, found out for messages that were hit soon after they were sent: a filter in between
//! looks into a message before its reader does.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    db::{Connection, DbError, exchangers, settlements::Claim, verdicts::Judged},
    ids::ControllerId,
};
use uuid::Uuid;

use crate::{
    classify::MailExchanger,
    exchangers::{Exchangers, Said},
};

/// No rule asks who takes the mail when a hit came later.
const SOON: TimeDelta = TimeDelta::minutes(2);

/// Tells whether it matters, and is not known, who takes the mail of a message's recipients.
pub(super) fn is_wanted(claim: &Claim, hits: &[Judged]) -> bool {
    claim.exchanger.is_none() && hits.iter().any(|hit| hit.at < claim.sent_at + SOON)
}

/// Finds out who takes the mail of the recipients of messages, writes it down, and returns those messages for which the
/// question is still on its way.
pub(super) async fn find_out(
    from: &Exchangers,
    controller: &ControllerId,
    claims: Vec<&mut Claim>,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<HashSet<Uuid>, DbError> {
    let mut asked = HashSet::new();
    if claims.is_empty() {
        return Ok(asked);
    }
    let messages: Vec<Uuid> = claims.iter().map(|claim| claim.message.0).collect();
    let domains = exchangers::domains(controller, &messages, connection).await?;
    let (mut known, mut codes) = (Vec::new(), Vec::new());
    for claim in claims {
        let message = claim.message.0;
        // Of several domains it is not known whose reader came.
        let said = domains
            .get(&message)
            .map_or(Said::Known(MailExchanger::Other), |domain| {
                from.of(domain, now)
            });
        match said {
            Said::Asked => {
                asked.insert(message);
            }
            Said::Known(exchanger) => {
                claim.exchanger = Some(exchanger.code().to_owned());
                known.push(message);
                codes.push(exchanger.code());
            }
        }
    }
    exchangers::write(controller, &known, &codes, connection).await?;
    Ok(asked)
}
