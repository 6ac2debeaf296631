// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the configured controllers down, as soon as the database is there: other rows refer to them. Where what is
//! asked of consent has changed since the last start, that goes into the log of acts.

use std::time::Duration;

use chrono::Utc;
use common::{
    config::{ConsentRule, Controller, MinAssurance, MultiRecipient, Retention},
    consent::Profile,
    db::{DbError, Transactions, acts, controllers},
};
use serde_json::{Value, json};

use crate::state::State;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the log of acts calls it.
const ACT: &str = "settings";

/// Tries until it is done.
pub(super) async fn register(state: State) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = save(&state).await {
        tracing::warn!("controllers are not written down yet: {error}");
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn save(state: &State) -> Result<(), DbError> {
    let mut connection = state.db.get().await?;
    controllers::save(&state.config.controllers, Utc::now(), &mut connection).await?;
    for controller in &state.config.controllers {
        let id = &controller.id;
        let settings = settings(controller, &state.config.retention);
        connection
            .transaction(async |connection| {
                let known = acts::latest(id, ACT, connection).await?;
                if known.as_ref() != Some(&settings) {
                    let actor = "fairtrack-collector";
                    acts::append(id, actor, ACT, settings.clone(), Utc::now(), connection).await?;
                }
                Ok::<_, DbError>(())
            })
            .await?;
    }
    Ok(())
}

/// What is asked of consent, what is collected, and how long it is kept.
fn settings(controller: &Controller, retention: &Retention) -> Value {
    let days = |period: common::config::Period| period.0.as_secs() / 86_400;
    json!({
        "consent": match controller.consent {
            ConsentRule::NotRequired => "not-required",
            ConsentRule::Required => "required",
        },
        "basis": controller.basis,
        "min_assurance": match controller.min_assurance {
            MinAssurance::Attested => "attested",
            MinAssurance::Recipient => "recipient",
        },
        "multi_recipient": match controller.multi_recipient {
            MultiRecipient::All => "all",
            MultiRecipient::Never => "never",
            MultiRecipient::Split => "split",
        },
        "internal": controller.internal,
        "invite": controller.invite,
        "opens": controller.opens,
        "links": controller.links,
        "text_links": controller.text_links,
        "profile": Profile::CURRENT.to_string(),
        "days": {
            "hits": days(retention.hits), "messages": days(retention.messages),
            "recording_window": days(retention.recording_window), "grant": days(retention.grant),
            "consent_proof": days(retention.consent_proof),
        },
    })
}
