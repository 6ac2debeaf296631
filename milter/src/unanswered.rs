// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages that are written down as instrumented and whose answer has not left yet: what the record must take back if
//! the answer never leaves.
//!
//! Design note: a message is written down before it is answered for, so for a moment its row tells of an instrumentation
//! that has not happened. Where the MTA has gone away meanwhile, having waited long enough, the message left as it came,
//! and the row is corrected. A milter that is killed cannot do that; it leaves a journal behind, a slot of a file for
//! each such message, and the next one corrects the rows. A slot is cleared just before the one write of the answer,
//! so in doubt a row stays: without it, hits of an instrumented message would be lost. Nothing is synced: where the
//! machine dies, Postfix has not taken the message either, and its client sends it again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use common::{
    db::messages::{self, Registration},
    ids::{ControllerId, MessageId},
    reason::SkipReason,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use crate::database::{Database, Unavailable};

/// The pause between tries to correct a row, and how many answers of the database without such a row are enough where
/// all that is known is its name: a commit that was under way may appear late.
const RETRY: Duration = Duration::from_secs(1);
const TRIES: u32 = 60;

/// Of the pool's connections, those on which corrections may wait for a lock.
const AT_ONCE: usize = 2;

/// How long the end of the program waits for corrections; the journal has what is left then.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A slot: the length of the controller's id, 0 in a free one; the message's id; the controller's id.
const SLOT: usize = 128;
const HEAD: usize = 17;

/// More slots are never read or written.
const SLOTS: u64 = 65_536;

/// All unanswered messages of one process.
#[derive(Clone)]
pub(crate) struct Unanswered {
    database: Database,
    journal: Arc<Mutex<Journal>>,
    correcting: watch::Sender<usize>,
    turns: Arc<Semaphore>,
}

/// What the database is to say of a message if it leaves as it came.
pub(crate) enum Truth {
    /// Its row was there before, or may be: with the reason for which it was left untouched.
    Known {
        controller: ControllerId,
        message: MessageId,
    },
    /// Its row is being written, and is to be there as this, whatever becomes of that write: it may be lost, or done, or
    /// still be waiting for a lock.
    Written(Box<Registration>),
}

#[derive(Default)]
struct Journal {
    /// None in a milter without a journal: then nobody corrects what it leaves when it is killed.
    file: Option<File>,
    free: Vec<u64>,
    used: u64,
}

/// One message's row, which claims an instrumentation. Dropped before the answer has left, it is taken back.
pub(crate) struct Claim {
    row: Row,
    written: Option<Box<Registration>>,
    slot: Option<u64>,
    all: Unanswered,
    state: State,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    controller: ControllerId,
    message: MessageId,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    /// The row is right, or is being corrected.
    Settled,
}

impl Unanswered {
    /// Begins without a journal.
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            journal: Arc::default(),
            correcting: watch::Sender::new(0),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Keeps a journal from now on. What the last process left there is corrected in the background.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, or another process uses it.
    pub(crate) fn keep_journal(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        file.try_lock()?;
        let mut octets = Vec::new();
        (&mut file)
            .take(SLOTS * SLOT as u64)
            .read_to_end(&mut octets)?;
        let mut journal = Journal {
            file: Some(file),
            ..Journal::default()
        };
        let mut left = Vec::new();
        for slot in octets.chunks(SLOT) {
            match Row::read(slot) {
                Some(row) => left.push((journal.used, row)),
                None => journal.free.push(journal.used),
            }
            journal.used += 1;
        }
        *self.lock() = journal;
        for (slot, row) in left {
            Claim {
                row,
                written: None,
                slot: Some(slot),
                all: self.clone(),
                state: State::Open,
            }
            .retract(SkipReason::Deadline);
        }
        Ok(())
    }

    /// Notes that a message is about to be written down as instrumented.
    pub(crate) fn claim(&self, otherwise: Truth) -> Claim {
        let (row, written) = match otherwise {
            Truth::Known {
                controller,
                message,
            } => (
                Row {
                    controller,
                    message,
                },
                None,
            ),
            Truth::Written(registration) => (
                Row {
                    controller: registration.message.controller.clone(),
                    message: registration.message.id,
                },
                Some(registration),
            ),
        };
        Claim {
            slot: self.lock().take(&row),
            row,
            written,
            all: self.clone(),
            state: State::Open,
        }
    }

    /// Waits until nothing is left to correct, for a while.
    pub(crate) async fn finish(&self) {
        let mut correcting = self.correcting.subscribe();
        let corrected = correcting.wait_for(|correcting| *correcting == 0);
        if timeout(LAST_PATIENCE, corrected).await.is_ok() {
            return;
        }
        let left = *self.correcting.borrow();
        let until = match self.lock().file {
            Some(_) => "until the next start corrects them",
            None => "and stay so, as there is no journal",
        };
        tracing::warn!("{left} messages may be shown as tracked that left as they came, {until}");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    fn take(&mut self, row: &Row) -> Option<u64> {
        let file = self.file.as_ref()?;
        let octets = row.to_slot()?;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.used < SLOTS => {
                self.used += 1;
                self.used - 1
            }
            None => return None,
        };
        if let Err(error) = file.write_all_at(&octets, slot * SLOT as u64) {
            tracing::warn!("failed to write the journal: {error}");
        }
        Some(slot)
    }

    fn clear(&mut self, slot: u64) {
        let Some(file) = &self.file else {
            return;
        };
        match file.write_all_at(&[0], slot * SLOT as u64) {
            Ok(()) => self.free.push(slot),
            Err(error) => tracing::warn!("failed to write the journal: {error}"),
        }
    }
}

impl Claim {
    /// Notes that the answer leaves with the next write.
    pub(crate) fn is_leaving(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.all.lock().clear(slot);
        }
    }

    /// Notes that the answer has left: the row tells the truth.
    pub(crate) fn has_left(mut self) {
        self.close();
    }

    /// Notes that nothing was written down after all.
    pub(crate) fn withdraw(mut self) {
        self.close();
    }

    /// Corrects the row in the background: the message leaves as it came.
    pub(crate) fn retract(mut self, reason: SkipReason) {
        self.state = State::Settled;
        // Outside a runtime the slot stays, for the next process.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.slot.is_none() {
            self.slot = self.all.lock().take(&self.row);
        }
        let waited_for = WaitedFor::new(&self.all.correcting);
        runtime.spawn(self.correct(reason, waited_for));
    }

    async fn correct(mut self, reason: SkipReason, waited_for: WaitedFor) {
        let mut waited_for = Some(waited_for);
        if let Some(written) = &mut self.written {
            written.message.reason = Some(reason);
        }
        let (mut answers, mut failures) = (0, 0);
        while answers < TRIES {
            match self.correct_once(reason).await {
                Ok(true) => break,
                Ok(false) => {
                    answers += 1;
                    // There is nothing to correct so far: a program that stops need not wait for what may never come.
                    waited_for = None;
                }
                Err(Unavailable::Down) => {}
                Err(Unavailable::Failed(error)) => {
                    failures += 1;
                    let is_hopeless = !error.is_outage() || failures >= TRIES;
                    if is_hopeless && self.written.take().is_some() {
                        // What it is to say may be what is refused; that it left untouched is not.
                        continue;
                    }
                    answers += u32::from(is_hopeless);
                }
            }
            sleep(RETRY).await;
        }
        self.close();
        drop(waited_for);
    }

    /// Corrects the row; false if there is none.
    async fn correct_once(&self, reason: SkipReason) -> Result<bool, Unavailable> {
        // The semaphore is never closed.
        let _turn = self.all.turns.acquire().await;
        let mut loan = self.all.database.lend().await?;
        let connection = loan.connection();
        let answer = match &self.written {
            Some(registration) => messages::correct(registration, connection)
                .await
                .map(|()| true),
            None => {
                let Row {
                    controller,
                    message,
                } = &self.row;
                messages::leave_untouched(controller, *message, reason, connection).await
            }
        };
        loan.settle(answer)
    }

    fn close(&mut self) {
        self.state = State::Settled;
        self.is_leaving();
    }
}

/// A correction that the end of the program waits for, counted while it is there.
struct WaitedFor(watch::Sender<usize>);

impl WaitedFor {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for WaitedFor {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.state == State::Settled {
            return;
        }
        self.state = State::Settled;
        Self {
            row: self.row.clone(),
            written: self.written.take(),
            slot: self.slot.take(),
            all: self.all.clone(),
            state: State::Open,
        }
        .retract(SkipReason::Deadline);
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}

impl Row {
    fn read(slot: &[u8]) -> Option<Self> {
        let (length, rest) = slot.split_first()?;
        let (message, rest) = rest.split_first_chunk::<16>()?;
        let controller = rest.get(..usize::from(*length))?;
        let controller = std::str::from_utf8(controller).ok()?;
        (!controller.is_empty()).then(|| Self {
            controller: ControllerId(controller.to_owned()),
            message: MessageId(Uuid::from_bytes(*message)),
        })
    }

    fn to_slot(&self) -> Option<[u8; SLOT]> {
        let controller = self.controller.as_str().as_bytes();
        let mut octets = [0; SLOT];
        let (head, rest) = octets.split_at_mut(HEAD);
        rest.get_mut(..controller.len())?
            .copy_from_slice(controller);
        let (length, id) = head.split_first_mut()?;
        *length = u8::try_from(controller.len()).ok()?;
        id.copy_from_slice(self.message.0.as_bytes());
        Some(octets)
    }
}

#[cfg(test)]
mod tests {
    use common::{config, db::Db};

    use super::*;

    fn unreachable() -> Database {
        let database = config::Database {
            url: "postgres://nobody@127.0.0.1:1/nothing".to_owned().into(),
            ..config::Database::default()
        };
        Database::new(Db::new(&database, config::Part::Milter))
    }

    fn row(number: u128) -> Row {
        Row {
            controller: ControllerId("example".into()),
            message: MessageId(Uuid::from_u128(number)),
        }
    }

    fn known(number: u128) -> Truth {
        let Row {
            controller,
            message,
        } = row(number);
        Truth::Known {
            controller,
            message,
        }
    }

    /// What a process that starts now would find.
    fn found(path: &Path) -> Vec<Row> {
        let octets = std::fs::read(path).unwrap();
        octets.chunks(SLOT).filter_map(Row::read).collect()
    }

    #[tokio::test]
    async fn journal_holds_what_is_neither_answered_nor_corrected() {
        let path = std::env::temp_dir().join(format!("ft-journal-{}", std::process::id()));
        let all = Unanswered::new(unreachable());
        all.keep_journal(&path).unwrap();
        let claim = |number| all.claim(known(number));

        let killed = claim(1);
        claim(2).has_left();
        claim(3).withdraw();
        let mut leaving = claim(4);
        leaving.is_leaving();
        assert_eq!(found(&path), [row(1)]);
        // The MTA had gone: the answer did not leave.
        drop(leaving);
        assert_eq!(found(&path), [row(1), row(4)]);

        assert!(
            Unanswered::new(unreachable()).keep_journal(&path).is_err(),
            "two processes would overwrite each other"
        );
        std::mem::forget(killed);
        drop(all);
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn what_was_left_behind_keeps_its_slot_until_it_is_corrected() {
        let path = std::env::temp_dir().join(format!("ft-journal-left-{}", std::process::id()));
        let slots = [row(1), row(2)].map(|row| row.to_slot().unwrap());
        std::fs::write(&path, [&slots[0][..], &[0; SLOT], &slots[1]].concat()).unwrap();

        let all = Unanswered::new(unreachable());
        all.keep_journal(&path).unwrap();
        let _claim = all.claim(known(3));

        assert_eq!(found(&path), [row(1), row(3), row(2)]);
        std::fs::remove_file(&path).unwrap();
    }
}
