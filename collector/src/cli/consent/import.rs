// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent import`: statements from a CSV file. Every row is checked and answered by a line; with `--apply`, and only if
//! no row is bad, all are written in one transaction.
//!
//! The file is read in pieces, so memory is bounded whatever its length.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::Args;
use common::{
    address::Address,
    consent::chain::hex,
    db::{Connection, Transactions, acts, consent_events, standings, subjects, users},
    ids::UserId,
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Desk, Which, account,
    rows::{NOBODY, Outcome, Reader, Row, places},
};
use crate::{
    cli::{Context, Output},
    journal,
    recipient::choose::Books,
};

/// What to import.
#[derive(Args)]
pub struct Options {
    /// A CSV file with a header line
    file: PathBuf,
    /// Write it down; without this, rows are only checked
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    which: Which,
}

/// Rows that are worked on together.
const PIECE: usize = 500;

/// A larger file is surely something else, and one that never closes a quotation mark would be read as one field.
const LARGEST: u64 = 200_000_000;

/// After how many rows progress is told.
const STRIDE: u64 = 10_000;

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    bad: u64,
    new: u64,
    stands: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Imports, or only checks.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.which, context).await?;
    let path = &options.file;
    let file_sha256 = fingerprint(path)?;
    let users = logins(&mut desk).await?;
    let (books, connection) = desk.books()?;
    let mut csv = open(path)?;
    let header = csv
        .byte_headers()
        .context("the header line cannot be read")?;
    let reader = Reader {
        books,
        places: places(header).map_err(anyhow::Error::msg)?,
        users: &users,
        account: account(),
        file_sha256,
        now: Utc::now(),
    };

    let counts = check(&reader, csv, context.output, connection).await?;
    let summary = format!(
        "{} to be written, {} stand already, {} bad",
        counts.new, counts.stands, counts.bad
    );
    if counts.bad > 0 {
        bail!("nothing was changed: {summary}");
    }
    if !options.apply {
        eprintln!("nothing was changed: {summary}; --apply writes them down");
        return Ok(());
    }
    apply(&reader, path, connection).await?;
    eprintln!("done: {summary}");
    Ok(())
}

/// Checks every row and prints a line for each.
async fn check(
    reader: &Reader<'_>,
    mut csv: csv::Reader<BufReader<File>>,
    output: Output,
    connection: &mut Connection,
) -> anyhow::Result<Counts> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut counts = Counts::default();
    loop {
        let piece = read_piece(reader, &mut csv);
        if piece.is_empty() {
            break;
        }
        let addresses: Vec<Address> = piece
            .iter()
            .filter_map(|row| row.as_ref().ok())
            .map(|row| row.address.clone())
            .collect();
        let id = &reader.books.controller.id;
        let standings =
            standings::by_address(id, &addresses, reader.books.keys, connection).await?;
        let mut standings = standings.into_iter();
        for row in &piece {
            let (line, says, outcome) = match row {
                Ok(row) => {
                    let standing = standings.next().unwrap_or_default();
                    let outcome = reader.judge(row, NOBODY, &standing);
                    (row.line, Some(row.words()), outcome)
                }
                Err((line, complaint)) => (*line, None, Outcome::Bad(complaint.clone())),
            };
            counts.add(&outcome);
            tell(&mut out, output, line, says.as_deref(), &outcome)?;
            tell_progress(counts, "checked");
        }
    }
    out.flush()?;
    Ok(counts)
}

/// Writes every row down, in one transaction.
async fn apply(
    reader: &Reader<'_>,
    path: &Path,
    connection: &mut Connection,
) -> anyhow::Result<()> {
    let id = &reader.books.controller.id;
    let first =
        connection
            .transaction(async |connection| {
                consent_events::lock(id, connection).await?;
                let last = consent_events::head(id, connection).await?;
                consent_events::expect_growth(connection).await?;
                let mut csv = open(path)?;
                let mut counts = Counts::default();
                loop {
                    let piece = read_piece(reader, &mut csv);
                    if piece.is_empty() {
                        break;
                    }
                    let rows: Vec<Row> = piece.into_iter().collect::<Result<_, _>>().map_err(
                        |(line, complaint)| {
                            anyhow::anyhow!("the file has changed: line {line}: {complaint}")
                        },
                    )?;
                    write_piece(reader, &rows, &mut counts, connection).await?;
                }
                let detail = json!({"file_sha256": reader.file_sha256, "rows": counts.new});
                let now = reader.now;
                acts::append(id, &reader.account, "import", detail, now, connection).await?;
                Ok::<_, Failure>(last.map_or(0, |(seq, _)| seq))
            })
            .await
            .map_err(|failure| failure.0.context("nothing was changed"))?;
    journal_since(reader.books, first, connection).await
}

/// Puts what the rows refused into the journal, in pieces: entries after a number, up to the newest.
async fn journal_since(
    books: Books<'_>,
    mut seq: i64,
    connection: &mut Connection,
) -> anyhow::Result<()> {
    let id = &books.controller.id;
    let piece = i64::try_from(PIECE)?;
    loop {
        let entries = consent_events::after(id, seq, piece, connection).await?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        seq = last.seq;
        journal::write_statements(books, &entries, connection).await;
    }
}

async fn write_piece(
    reader: &Reader<'_>,
    rows: &[Row],
    counts: &mut Counts,
    connection: &mut Connection,
) -> anyhow::Result<()> {
    let Books {
        controller, keys, ..
    } = reader.books;
    let id = &controller.id;
    consent_events::lock(id, connection).await?;
    let addresses: Vec<Address> = rows.iter().map(|row| row.address.clone()).collect();
    let found = subjects::find_or_create(id, &addresses, connection).await?;
    let standings = standings::by_address(id, &addresses, keys, connection).await?;
    let mut statements = Vec::with_capacity(rows.len() * 2);
    for ((row, subject), standing) in rows.iter().zip(found).zip(&standings) {
        let outcome = reader.judge(row, subject, standing);
        counts.add(&outcome);
        match outcome {
            Outcome::Bad(why) => bail!("line {}: {why}", row.line),
            Outcome::New(new) => statements.extend(new),
            Outcome::Stands => {}
        }
        tell_progress(*counts, "written");
    }
    if !statements.is_empty() {
        consent_events::append(id, &statements, keys, reader.now, connection).await?;
    }
    Ok(())
}

/// Reads up to [`PIECE`] rows; each is good by itself, or a line number and a complaint.
fn read_piece(
    reader: &Reader<'_>,
    csv: &mut csv::Reader<BufReader<File>>,
) -> Vec<Result<Row, (u64, String)>> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut record = csv::ByteRecord::new();
    while piece.len() < PIECE {
        let line = csv.position().line();
        match csv.read_byte_record(&mut record) {
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                piece.push(
                    reader
                        .row(line, &record)
                        .map_err(|complaint| (line, complaint)),
                );
            }
            Ok(false) => break,
            Err(error) => {
                let is_over = error.is_io_error();
                let line = error.position().map_or(line, csv::Position::line);
                piece.push(Err((line, explain(&error))));
                if is_over {
                    break;
                }
            }
        }
    }
    piece
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} fields instead of {expected_len}"),
        _ => error.to_string(),
    }
}

fn open(path: &Path) -> anyhow::Result<csv::Reader<BufReader<File>>> {
    let file =
        File::open(path).with_context(|| format!("failed to read \"{}\"", path.display()))?;
    Ok(csv::ReaderBuilder::new().from_reader(BufReader::new(file)))
}

fn fingerprint(path: &Path) -> anyhow::Result<String> {
    let named = || format!("failed to read \"{}\"", path.display());
    let mut file = File::open(path).with_context(named)?;
    let size = file.metadata().with_context(named)?.len();
    if size > LARGEST {
        bail!("\"{}\" is larger than {LARGEST} octets", path.display());
    }
    let mut hasher = Sha256::new();
    let mut piece = [0; 64 * 1024];
    loop {
        let read = file.read(&mut piece).with_context(named)?;
        match piece.get(..read) {
            Some([]) | None => break,
            Some(octets) => hasher.update(octets),
        }
    }
    Ok(hex(&hasher.finalize()))
}

async fn logins(desk: &mut Desk) -> anyhow::Result<HashMap<String, UserId>> {
    let all = users::all(&mut desk.connection).await?;
    let own = all
        .into_iter()
        .filter(|user| user.controller_id == desk.controller.as_str());
    Ok(own
        .map(|user| (user.login.clone(), user.user_id()))
        .collect())
}

fn tell(
    out: &mut impl Write,
    output: Output,
    line: u64,
    says: Option<&str>,
    outcome: &Outcome,
) -> io::Result<()> {
    let (word, error) = match outcome {
        Outcome::Bad(error) => ("bad", Some(error.as_str())),
        Outcome::New(_) => ("good", None),
        Outcome::Stands => ("stands already", None),
    };
    match output {
        Output::Json => {
            let line = Line {
                line,
                outcome: word,
                says,
                error,
            };
            writeln!(out, "{}", serde_json::to_string(&line)?)
        }
        Output::Words => {
            let rest = error.or(says).unwrap_or_default();
            writeln!(out, "line {line}: {word}: {rest}")
        }
    }
}

fn tell_progress(counts: Counts, verb: &str) {
    let rows = counts.bad + counts.new + counts.stands;
    if rows.is_multiple_of(STRIDE) {
        eprintln!("{rows} rows {verb}");
    }
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Bad(_) => self.bad += 1,
            Outcome::New(_) => self.new += 1,
            Outcome::Stands => self.stands += 1,
        }
    }
}

/// What ends the transaction.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
