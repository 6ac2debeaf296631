// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal's file: lines are added at its end, and stand on the disk before anybody is told that they do.
//!
//! A line that a power failure tore apart stays as it is: the next one begins on a line of its own, and reading goes on
//! behind it.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use uuid::Uuid;

use super::{Line, What};

/// Adds lines.
///
/// # Errors
///
/// Fails if the disk does; then the journal may end in a torn line.
pub fn append(path: &Path, lines: &[Line]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    append_text(path, text)
}

/// Adds whole lines to a file of lines.
///
/// # Errors
///
/// As [`append`].
pub fn append_text(path: &Path, mut text: Vec<u8>) -> io::Result<()> {
    let _lock = lock(path)?;
    let is_new = !path.exists();
    let mut file = fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if is_torn(&mut file)? {
        text.insert(0, b'\n');
    }
    file.write_all(&text)?;
    file.sync_all()?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(())
}

/// Reads a journal: each line, or the number of one that cannot be read.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<Result<Line, usize>>> {
    let mut lines = Vec::new();
    for (number, text) in BufReader::new(File::open(path)?).split(b'\n').enumerate() {
        let text = text?;
        if !text.is_empty() {
            lines.push(serde_json::from_slice(&text).map_err(|_unreadable| number + 1));
        }
    }
    Ok(lines)
}

/// Writes the journal anew without a hash: erasures lose it, other lines with it go.
///
/// # Errors
///
/// Fails if the disk does; then the journal is as it was.
pub fn forget(path: &Path, hash: &str) -> io::Result<()> {
    rewrite(path, |text| without(text, hash))
}

/// Writes the journal anew without the hashes of people who went by these names: erasures lose them, other lines go.
///
/// # Errors
///
/// As [`forget`].
pub fn forget_people(path: &Path, names: &HashSet<Uuid>) -> io::Result<()> {
    rewrite(path, |text| {
        let Ok(mut line) = serde_json::from_slice::<Line>(&text) else {
            return Ok(Some(text));
        };
        if !line.hashed().is_some_and(|(name, _)| names.contains(&name)) {
            return Ok(Some(text));
        }
        match &mut line.what {
            What::Erasure { suppression, .. } => {
                *suppression = None;
                Ok(Some(serde_json::to_vec(&line)?))
            }
            _ => Ok(None),
        }
    })
}

fn rewrite(
    path: &Path,
    mut kept_of: impl FnMut(Vec<u8>) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<()> {
    let _lock = lock(path)?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let temporary = path.with_extension("new");
    let kept = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let mut kept = BufWriter::new(kept);
    for text in BufReader::new(file).split(b'\n') {
        let text = text?;
        if let Some(text) = kept_of(text)? {
            kept.write_all(&text)?;
            kept.write_all(b"\n")?;
        }
    }
    kept.into_inner().map_err(io::Error::from)?.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_folder(path)
}

/// Returns a line without a hash; `None` if nothing of it may stay. What cannot be read stays, unless the hash is in it.
fn without(text: Vec<u8>, hash: &str) -> io::Result<Option<Vec<u8>>> {
    let holds_it = text
        .windows(hash.len())
        .any(|piece| piece == hash.as_bytes());
    if !holds_it {
        return Ok(Some(text));
    }
    match serde_json::from_slice::<Line>(&text) {
        Ok(mut line) => match &mut line.what {
            What::Erasure { suppression, .. } => {
                *suppression = None;
                Ok(Some(serde_json::to_vec(&line)?))
            }
            _ => Ok(None),
        },
        Err(_unreadable) => Ok(None),
    }
}

/// Tells whether the last line has no end.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Makes a name in the journal's folder last.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Keeps other programs from the journal until the value is dropped.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use chrono::DateTime;

    use super::*;

    /// A folder that goes with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("ft-journal-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn journal(&self) -> PathBuf {
            self.0.join("journal.jsonl")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn line(what: What) -> Line {
        Line {
            controller: "example".into(),
            at: DateTime::UNIX_EPOCH,
            what,
        }
    }

    fn refusal(hash: &str) -> Line {
        line(What::Refusal {
            subject: Uuid::nil(),
            event: Uuid::nil(),
            purpose: "open".into(),
            scope: None,
            address_hash: Some(hash.into()),
        })
    }

    fn erasure(hash: Option<&str>) -> Line {
        line(What::Erasure {
            subject: Uuid::nil(),
            suppression: hash.map(str::to_owned),
            requests: Vec::new(),
        })
    }

    fn lines(path: &Path) -> Vec<Line> {
        let read = read(path).unwrap();
        read.into_iter().filter_map(Result::ok).collect()
    }

    #[test]
    fn whoever_wants_no_fingerprint_has_none_in_the_journal() {
        let folder = Folder::new("forget");
        let path = folder.journal();
        let frozen = line(What::Restriction {
            subject: Uuid::nil(),
            frozen: true,
            address_hash: Some("aa".into()),
        });
        let before = [
            refusal("aa"),
            refusal("bb"),
            erasure(Some("aa")),
            frozen,
            erasure(None),
        ];
        append(&path, &before).unwrap();

        forget(&path, "aa").unwrap();

        assert_eq!(lines(&path), [refusal("bb"), erasure(None), erasure(None)]);
    }

    #[test]
    fn torn_line_spoils_neither_what_follows_nor_what_came_before() {
        let folder = Folder::new("torn");
        let path = folder.journal();
        append(&path, &[refusal("aa")]).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut torn = whole.clone();
        // Cut in the midst of a line, behind half a character.
        torn.extend_from_slice(&whole[..40]);
        torn.push(0xc3);
        fs::write(&path, &torn).unwrap();

        let alone = read(&path).unwrap();
        append(&path, &[refusal("bb")]).unwrap();
        let followed = read(&path).unwrap();
        forget(&path, "aa").unwrap();

        assert_eq!(alone, [Ok(refusal("aa")), Err(2)]);
        assert_eq!(followed, [Ok(refusal("aa")), Err(2), Ok(refusal("bb"))]);
        assert_eq!(read(&path).unwrap(), [Err(1), Ok(refusal("bb"))]);
    }

    #[test]
    fn line_reads_as_it_was_written() {
        let text = serde_json::to_string(&refusal("aa")).unwrap();

        assert!(text.contains("\"what\":\"refusal\""), "{text}");
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), refusal("aa"));
    }
}
