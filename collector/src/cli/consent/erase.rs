// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent erase`: the right to erasure, for who writes or calls instead of using the page.

use chrono::Utc;
use clap::Args;
use common::db::{
    DbError, Transactions, acts,
    erasures::{self, Suppression},
    standings, subjects, suppressions,
};
use serde::Serialize;
use serde_json::json;

use super::{Desk, Whom, account};
use crate::{cli::Context, recipient::journal};

/// Whom, and what stays.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// Keep no fingerprint either; the person may be asked again one day
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct Erased {
    subjects: usize,
    suppressed: bool,
}

/// Erases.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let (books, connection) = desk.books()?;
    let id = &books.controller.id;
    let hash = standings::suppression_hash(books.keys, &address);
    let suppression = if options.forget {
        Suppression::Forget
    } else {
        Suppression::Keep
    };
    let now = Utc::now();
    let erased = connection
        .transaction(async |connection| {
            let erased = match subjects::find(id, &address, connection).await? {
                Some(subject) => {
                    erasures::erase(id, subject, &hash, suppression, now, connection).await?
                }
                None => {
                    // Nothing is stored; the wish not to be asked is kept all the same.
                    if suppression == Suppression::Keep {
                        suppressions::add(id, &hash, now, connection).await?;
                    }
                    Vec::new()
                }
            };
            let refs: Vec<_> = erased.iter().map(|erasure| erasure.subject_ref).collect();
            let detail = json!({"subjects": refs});
            acts::append(id, &account(), "erasure", detail, now, connection).await?;
            Ok::<_, DbError>(erased)
        })
        .await?;
    journal::write_erasures(books, &erased, &hash, suppression, now);
    let shown = Erased {
        subjects: erased.len(),
        suppressed: suppression == Suppression::Keep,
    };
    context.print(&shown, |shown| {
        let what = match shown.subjects {
            0 => "nothing was stored".to_owned(),
            1 => "erased".to_owned(),
            many => format!("erased, with {many} addresses of one base"),
        };
        let rest = if shown.suppressed {
            "a keyed fingerprint stays: never asked, never observed"
        } else {
            "nothing stays"
        };
        format!("{what}; {rest}")
    })
}
