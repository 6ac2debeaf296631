// SPDX-License-Identifier: GPL-3.0-or-later
//! One file of the hit log: a heading, then records, each with its length and a checksum.
//!
//! A file is only ever appended to. A program that was killed leaves a torn end, which held no acknowledged hit. Whatever
//! else cannot be read back, because the disk changed it or another release wrote it, is counted; what stands behind it
//! is read all the same, since each record is vouched for by its own checksum.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::hit::Hit;

/// The heading names the format, so that a later one can tell.
const HEADING: &[u8; 8] = b"FTHITS1\n";
const CHECK: usize = 8;
/// No hit comes near; what claims to be longer is damage.
const LONGEST: usize = 65_536;

/// A file that is being written.
pub(super) struct Segment {
    file: File,
    path: PathBuf,
    /// Octets known to be whole records.
    length: u64,
}

/// Reads the records of a file.
pub(super) struct Records {
    reader: BufReader<File>,
    /// Whether the heading is that of another format, so that nothing behind it means what it seems to.
    is_foreign: bool,
    outcome: Outcome,
}

/// What was found beside the hits. Final once there are no more of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Outcome {
    /// Whether the file ends inside a heading or a record, as after a kill.
    pub(super) is_torn: bool,
    /// Records that could not be read; a damaged stretch, and a file of another format, counts as one.
    pub(super) unread: u64,
}

/// Writes a hit down as a record.
pub(super) fn encode(hit: &Hit, into: &mut Vec<u8>) -> io::Result<()> {
    let payload = serde_json::to_vec(hit)?;
    if payload.len() > LONGEST {
        return Err(io::Error::other("a hit is longer than a record may be"));
    }
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&check(&payload));
    into.extend_from_slice(&payload);
    Ok(())
}

impl Segment {
    /// Makes a file that does not exist yet, and its name in the folder durable.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let begun = file.write_all(HEADING).and_then(|()| {
            path.parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        });
        if let Err(error) = begun {
            // On a full disk this is tried again and again: the folder must not fill with empty files.
            let _gone = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            file,
            path,
            length: widen(HEADING.len()),
        })
    }

    /// Appends encoded records and waits until they are on the disk.
    ///
    /// On failure nothing of them remains in the file, or the file is not to be written to again.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        match self
            .file
            .write_all(records)
            .and_then(|()| self.file.sync_data())
        {
            Ok(()) => {
                self.length += widen(records.len());
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Records {
    /// Opens a file for reading.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut records = Self {
            reader: BufReader::new(File::open(path)?),
            is_foreign: false,
            outcome: Outcome::default(),
        };
        let mut heading = [0; HEADING.len()];
        let filled = records.fill(&mut heading)?;
        let is_ours = heading
            .get(..filled)
            .is_some_and(|begun| HEADING.starts_with(begun));
        if !is_ours {
            records.is_foreign = true;
            records.outcome.unread = 1;
        } else if filled < HEADING.len() {
            records.outcome.is_torn = true;
        }
        Ok(records)
    }

    /// Returns the next hit; `None` at the end, torn or not.
    pub(super) fn next(&mut self) -> io::Result<Option<Hit>> {
        if self.is_foreign {
            return Ok(None);
        }
        // Behind a record that cannot be read, the next one is looked for octet by octet: its length may be what is wrong.
        let mut fault = None;
        loop {
            let (frame, taken) = self.frame()?;
            match frame {
                Frame::Cut | Frame::Damaged => {
                    fault.get_or_insert(frame);
                    self.reader.seek_relative(1 - taken)?;
                }
                Frame::End => {
                    match fault {
                        Some(Frame::Cut) => self.outcome.is_torn = true,
                        Some(_) => self.outcome.unread += 1,
                        None => {}
                    }
                    return Ok(None);
                }
                Frame::Whole(payload) => {
                    self.outcome.unread += u64::from(fault.take().is_some());
                    match serde_json::from_slice(&payload) {
                        Ok(hit) => return Ok(Some(hit)),
                        Err(_unknown_shape) => self.outcome.unread += 1,
                    }
                }
            }
        }
    }

    /// Tells what was found beside the hits.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Reads a record from where the reader stands, and tells how many octets that took.
    fn frame(&mut self) -> io::Result<(Frame, i64)> {
        let mut head = [0; 4 + CHECK];
        let filled = self.fill(&mut head)?;
        let mut taken = signed(filled);
        let [a, b, c, d, expected @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(io::Error::other)?;
        if filled == 0 {
            return Ok((Frame::End, taken));
        }
        if filled >= 4 && !(1..=LONGEST).contains(&length) {
            return Ok((Frame::Damaged, taken));
        }
        if filled < head.len() {
            return Ok((Frame::Cut, taken));
        }
        let mut payload = vec![0; length];
        let filled = self.fill(&mut payload)?;
        taken += signed(filled);
        let frame = if filled < length {
            Frame::Cut
        } else if check(&payload) == expected {
            Frame::Whole(payload)
        } else {
            Frame::Damaged
        };
        Ok((frame, taken))
    }

    /// Reads as much as there is, and returns how much that was.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// What stands at a place of the file.
enum Frame {
    /// The file ends inside it.
    Cut,
    Damaged,
    End,
    Whole(Vec<u8>),
}

fn check(payload: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    blake3::Hasher::new()
        .update(payload)
        .finalize_xof()
        .fill(&mut check);
    check
}

fn widen(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

fn signed(octets: usize) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("fairtrack-segment-{}-{name}", std::process::id()))
    }

    fn hits(count: u16) -> Vec<Hit> {
        (0..count)
            .map(|ordinal| Hit::for_testing(ordinal, DateTime::UNIX_EPOCH))
            .collect()
    }

    fn write(path: &Path, hits: &[Hit]) {
        let _ = fs::remove_file(path);
        let mut segment = Segment::create(path.into()).unwrap();
        for hit in hits {
            let mut record = Vec::new();
            encode(hit, &mut record).unwrap();
            segment.append(&record).unwrap();
        }
    }

    fn read(path: &Path) -> (Vec<Hit>, Outcome) {
        let mut records = Records::open(path).unwrap();
        let mut hits = Vec::new();
        while let Some(hit) = records.next().unwrap() {
            hits.push(hit);
        }
        (hits, records.outcome())
    }

    #[test]
    fn what_was_written_is_read_back_in_order() {
        let path = scratch("order");
        let hits = hits(5);

        write(&path, &hits);

        assert_eq!(read(&path), (hits, Outcome::default()));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn file_cut_anywhere_gives_its_whole_records_and_counts_nothing_as_unread() {
        let path = scratch("cut");
        let hits = hits(3);
        write(&path, &hits);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - HEADING.len()) / hits.len();

        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (found, outcome) = read(&path);
            let expected = length.saturating_sub(HEADING.len()) / record;
            assert_eq!(found, hits[..expected], "cut at {length}");
            let is_at_border =
                length >= HEADING.len() && (length - HEADING.len()).is_multiple_of(record);
            let expected = Outcome {
                is_torn: !is_at_border,
                unread: 0,
            };
            assert_eq!(outcome, expected, "cut at {length}");
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn damaged_record_costs_itself_alone_and_is_counted() {
        let path = scratch("changed");
        let hits = hits(3);
        write(&path, &hits);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - HEADING.len()) / hits.len();

        for place in HEADING.len()..whole.len() - record {
            for bits in [1, 0x80] {
                let mut changed = whole.clone();
                changed[place] ^= bits;
                fs::write(&path, &changed).unwrap();
                let (found, outcome) = read(&path);
                let mut expected = hits.clone();
                expected.remove((place - HEADING.len()) / record);
                assert_eq!(found, expected, "at {place}");
                let unread = Outcome {
                    is_torn: false,
                    unread: 1,
                };
                assert_eq!(outcome, unread, "at {place}");
            }
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn damaged_end_is_noticed() {
        let path = scratch("end");
        let hits = hits(2);
        write(&path, &hits);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - HEADING.len()) / hits.len();

        for place in whole.len() - record..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            let (found, outcome) = read(&path);
            assert_eq!(found, hits[..1], "at {place}");
            // A length that is too great looks as if the file had been cut.
            let is_length = place < whole.len() - record + 4;
            assert!(
                outcome.unread == 1 || is_length && outcome.is_torn,
                "at {place}"
            );
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn record_of_a_shape_that_is_not_known_costs_itself_alone_and_is_counted() {
        let path = scratch("shape");
        let hits = hits(2);
        write(&path, &hits[..1]);
        let payload = br#"{"of":"a later release"}"#;
        let mut records = Vec::from(u32::try_from(payload.len()).unwrap().to_le_bytes());
        records.extend(check(payload));
        records.extend(payload);
        encode(&hits[1], &mut records).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&records).unwrap();

        let unread = Outcome {
            is_torn: false,
            unread: 1,
        };
        assert_eq!(read(&path), (hits, unread));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn file_of_another_format_is_counted_and_nothing_in_it_is_believed() {
        let path = scratch("format");
        write(&path, &hits(2));
        let mut whole = fs::read(&path).unwrap();
        whole[6] = b'2';

        for length in [7, 8, whole.len()] {
            fs::write(&path, &whole[..length]).unwrap();
            let unread = Outcome {
                is_torn: false,
                unread: 1,
            };
            assert_eq!(read(&path), (Vec::new(), unread), "{length} octets");
        }
        fs::remove_file(path).unwrap();
    }
}
