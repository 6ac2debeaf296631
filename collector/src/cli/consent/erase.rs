// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent erase`: the right to erasure, for who writes or calls instead of using the page.

use chrono::Utc;
use clap::Args;
use common::db::{
    DbError, Transactions, acts,
    erasures::{self, Suppression},
    standings, subjects,
};
use serde::Serialize;
use serde_json::json;

use super::{Desk, Whom, account};
use crate::{cli::Context, journal};

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
            let people = subjects::of_base(id, &address.base(), connection).await?;
            // Also where nobody is stored: the wish is kept, or what is left of it is forgotten, all the same.
            let erased = erasures::erase(id, &people, &hash, suppression, now, connection).await?;
            let detail = json!({"subjects": people});
            acts::append(id, &account(), "erasure", detail, now, connection).await?;
            Ok::<_, DbError>(erased)
        })
        .await?;
    journal::write_erasure(books, &erased, &hash, suppression, now).await;
    let shown = Erased {
        subjects: erased.people,
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
