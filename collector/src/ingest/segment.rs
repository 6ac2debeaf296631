// SPDX-License-Identifier: GPL-3.0-or-later
//! One file of the hit log: a heading, then records, each with its length and a checksum.
//!
//! A file is only ever appended to. A program that was killed leaves a torn end: what cannot be read back whole is
//! recognised by length or checksum, and nothing after it is trusted.

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
    /// Whether the end of the file was met in good order.
    is_whole: bool,
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
        let mut reader = BufReader::new(File::open(path)?);
        let mut heading = [0; HEADING.len()];
        let is_known = match reader.read_exact(&mut heading) {
            Ok(()) => heading == *HEADING,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        let mut records = Self {
            reader,
            is_whole: is_known,
        };
        if !is_known {
            // A heading that was never finished: there is nothing behind it.
            records.skip_rest()?;
        }
        Ok(records)
    }

    /// Returns the next hit; `None` at the end, torn or not.
    pub(super) fn next(&mut self) -> io::Result<Option<Hit>> {
        let mut length = [0; 4];
        match self.fill(&mut length)? {
            Filled::Nothing => return Ok(None),
            Filled::Part => return self.torn(),
            Filled::Whole => {}
        }
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
        if length > LONGEST {
            return self.torn();
        }
        let mut expected = [0; CHECK];
        let mut payload = vec![0; length];
        if !matches!(self.fill(&mut expected)?, Filled::Whole)
            || !matches!(self.fill(&mut payload)?, Filled::Whole)
            || check(&payload) != expected
        {
            return self.torn();
        }
        match serde_json::from_slice(&payload) {
            Ok(hit) => Ok(Some(hit)),
            Err(_unknown_shape) => self.torn(),
        }
    }

    /// Tells whether every record was read, nothing being torn. Meant to be asked at the end.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn torn(&mut self) -> io::Result<Option<Hit>> {
        self.is_whole = false;
        self.skip_rest()?;
        Ok(None)
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(|_octets| ())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<Filled> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) if filled == 0 => return Ok(Filled::Nothing),
                Ok(0) => return Ok(Filled::Part),
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Filled::Whole)
    }
}

enum Filled {
    Nothing,
    Part,
    Whole,
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

    fn read(path: &Path) -> (Vec<Hit>, bool) {
        let mut records = Records::open(path).unwrap();
        let mut hits = Vec::new();
        while let Some(hit) = records.next().unwrap() {
            hits.push(hit);
        }
        (hits, records.is_whole())
    }

    #[test]
    fn what_was_written_is_read_back_in_order() {
        let path = scratch("order");
        let hits = hits(5);

        write(&path, &hits);

        assert_eq!(read(&path), (hits, true));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn file_cut_anywhere_gives_its_whole_records() {
        let path = scratch("cut");
        let hits = hits(3);
        write(&path, &hits);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - HEADING.len()) / hits.len();

        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (found, is_whole) = read(&path);
            let expected = length.saturating_sub(HEADING.len()) / record;
            assert_eq!(found, hits[..expected], "cut at {length}");
            let is_at_border =
                length >= HEADING.len() && (length - HEADING.len()).is_multiple_of(record);
            assert_eq!(is_whole, is_at_border, "cut at {length}");
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn changed_octet_is_noticed() {
        let path = scratch("changed");
        let hits = hits(2);
        write(&path, &hits);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - HEADING.len()) / hits.len();

        for place in HEADING.len()..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            let (found, is_whole) = read(&path);
            assert_eq!(
                found,
                hits[..(place - HEADING.len()) / record],
                "at {place}"
            );
            assert!(!is_whole, "at {place}");
        }
        fs::remove_file(path).unwrap();
    }
}
