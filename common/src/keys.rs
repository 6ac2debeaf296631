// SPDX-License-Identifier: GPL-3.0-or-later
//! The key ring: one file, mode 0600, newest key first.
//!
//! The first key signs; every key verifies, for ever, because a link in a mail that was sent years ago must still lead
//! where it led. From each key three are derived, so that a token's signature, an address's lookup hash and a one-use
//! link never share one.

use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};

const TOKEN_CONTEXT: &str = "fairtrack 2026-11 tracking tokens";

/// The keys of an installation; never empty.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

/// One signing key.
#[derive(Clone)]
pub struct Key {
    /// The number by which tokens name the key.
    pub id: u8,
    /// When the key was made, as written in the file.
    pub created: String,
    secret: [u8; 32],
    token_key: [u8; 32],
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key file \"{}\" already exists", .0.display())]
    Exists(PathBuf),
    #[error("key file \"{}\" holds 256 keys, the most that tokens can name", .0.display())]
    Full(PathBuf),
    #[error("key file \"{}\", line {line}: expected \"ID CREATED SECRET\"", path.display())]
    Malformed { path: PathBuf, line: usize },
    #[error("key file \"{}\" can be read by others (mode {mode:o}); set it to 0600 or 0640", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("no random numbers from the operating system")]
    Random,
    #[error("failed to read key file \"{}\"", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to write key file \"{}\"", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl KeyRing {
    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, holds no key or a malformed line, or can be read by everyone.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let read_error = |source| KeyError::Read {
            path: path.into(),
            source,
        };
        let mode = fs::metadata(path).map_err(read_error)?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(KeyError::Mode {
                path: path.into(),
                mode,
            });
        }
        let text = fs::read_to_string(path).map_err(read_error)?;
        Self::parse(&text).map_err(|line| KeyError::Malformed {
            path: path.into(),
            line,
        })
    }

    /// Makes a ring of one new key and writes it to a file that does not exist yet.
    ///
    /// # Errors
    ///
    /// Fails if the file exists or cannot be written.
    pub fn generate(path: &Path, now: DateTime<Utc>) -> Result<Self, KeyError> {
        let ring = Self {
            keys: vec![Key::random(1, now)?],
        };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
                _ => KeyError::Write {
                    path: path.into(),
                    source,
                },
            })?;
        file.write_all(ring.render().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|source| KeyError::Write {
                path: path.into(),
                source,
            })?;
        Ok(ring)
    }

    /// Puts a new key before the others, in the file too. The file is replaced in one step, keeping owner,
    /// group and mode: the programs must go on reading it whoever rotates.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or written, or holds as many keys as tokens can name.
    pub fn rotate(path: &Path, now: DateTime<Utc>) -> Result<Self, KeyError> {
        let mut ring = Self::read(path)?;
        let id = (1..=u8::MAX)
            .find(|id| ring.keys.iter().all(|key| key.id != *id))
            .ok_or_else(|| KeyError::Full(path.into()))?;
        ring.keys.insert(0, Key::random(id, now)?);

        let write_error = |source| KeyError::Write {
            path: path.into(),
            source,
        };
        let old = fs::metadata(path).map_err(write_error)?;
        let mut scratch = path.as_os_str().to_owned();
        scratch.push(".new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(old.permissions().mode() & 0o777)
            .open(&scratch)
            .map_err(write_error)?;
        fchown(&file, Some(old.uid()), Some(old.gid()))
            .and_then(|()| file.write_all(ring.render().as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(write_error)?;
        fs::rename(&scratch, path).map_err(write_error)?;
        Ok(ring)
    }

    /// Makes a ring with one key that is kept nowhere: for trying things out without an installation.
    ///
    /// # Errors
    ///
    /// Fails if the operating system has no random numbers.
    pub fn throw_away(now: DateTime<Utc>) -> Result<Self, KeyError> {
        Ok(Self {
            keys: vec![Key::random(1, now)?],
        })
    }

    /// Makes a ring with one fixed key, for tests.
    pub fn for_testing() -> Self {
        Self {
            keys: vec![Key::new(1, "2026-01-01T00:00:00Z".into(), [7; 32])],
        }
    }

    /// Returns the key that signs.
    pub fn signing(&self) -> &Key {
        self.keys
            .first()
            .expect("a key ring is never empty: every constructor puts a key in")
    }

    /// Returns the key with that number, for verifying.
    pub fn find(&self, id: u8) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Returns every key, the signing one first.
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// Returns a key for another use than tokens, derived from the oldest key so that rotation leaves it as it is.
    ///
    /// `context` says the use and must be unique in the project.
    pub fn derived(&self, context: &str) -> [u8; 32] {
        let oldest = self.keys.last().unwrap_or_else(|| self.signing());
        blake3::derive_key(context, &oldest.secret)
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(Key::parse(line).ok_or(number + 1)?);
        }
        if keys.is_empty() {
            Err(1)
        } else {
            Ok(Self { keys })
        }
    }

    fn render(&self) -> String {
        let mut text = String::from(
            "# Fairtrack signing keys, newest first. Never remove a line: old links verify with old keys.\n",
        );
        for key in &self.keys {
            text.push_str(&format!(
                "{} {} {}\n",
                key.id,
                key.created,
                URL_SAFE_NO_PAD.encode(key.secret)
            ));
        }
        text
    }
}

impl Key {
    fn new(id: u8, created: String, secret: [u8; 32]) -> Self {
        Self {
            id,
            created,
            secret,
            token_key: blake3::derive_key(TOKEN_CONTEXT, &secret),
        }
    }

    fn random(id: u8, now: DateTime<Utc>) -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_unavailable| KeyError::Random)?;
        Ok(Self::new(
            id,
            now.to_rfc3339_opts(SecondsFormat::Secs, true),
            secret,
        ))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let id = words.next()?.parse().ok().filter(|id| *id > 0)?;
        let created = words.next()?.to_owned();
        let secret = URL_SAFE_NO_PAD
            .decode(words.next()?)
            .ok()?
            .try_into()
            .ok()?;
        words
            .next()
            .is_none()
            .then(|| Self::new(id, created, secret))
    }

    /// Returns the derived key with which tokens are signed.
    pub(crate) fn token_key(&self) -> &[u8; 32] {
        &self.token_key
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("fairtrack-keys-{}-{name}", std::process::id()))
    }

    #[test]
    fn rotated_file_belongs_to_whom_it_belonged() {
        let path = scratch("owner");
        KeyRing::generate(&path, DateTime::UNIX_EPOCH).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root may give a file away; for others owner and group are their own anyhow.
        let given = std::os::unix::fs::chown(&path, Some(4711), Some(4712));
        let before = fs::metadata(&path).unwrap();

        KeyRing::rotate(&path, DateTime::UNIX_EPOCH).unwrap();
        let after = fs::metadata(&path).unwrap();
        fs::remove_file(&path).unwrap();

        assert_eq!(given.is_ok(), before.uid() == 4711);
        assert_eq!(
            (after.uid(), after.gid(), after.mode()),
            (before.uid(), before.gid(), before.mode())
        );
    }

    #[test]
    fn rotated_ring_keeps_the_old_key_and_signs_with_the_new() {
        let path = scratch("rotate");
        let old = KeyRing::generate(&path, DateTime::UNIX_EPOCH).unwrap();

        let new = KeyRing::rotate(&path, DateTime::UNIX_EPOCH).unwrap();
        let read = KeyRing::read(&path).unwrap();
        fs::remove_file(&path).unwrap();

        assert_ne!(new.signing().secret, old.signing().secret);
        assert_eq!(
            read.find(old.signing().id).unwrap().secret,
            old.signing().secret
        );
        assert_eq!(read.signing().secret, new.signing().secret);
        assert_eq!(read.derived("x"), old.derived("x"));
    }

    #[test]
    fn file_that_others_can_read_is_refused() {
        let path = scratch("mode");
        KeyRing::generate(&path, DateTime::UNIX_EPOCH).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        let result = KeyRing::read(&path);
        fs::remove_file(&path).unwrap();

        assert!(matches!(result, Err(KeyError::Mode { .. })));
    }

    #[test]
    fn malformed_line_is_named() {
        assert_eq!(KeyRing::parse("# keys\n1 now short\n").unwrap_err(), 2);
        assert_eq!(KeyRing::parse("").unwrap_err(), 1);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", KeyRing::for_testing());

        assert!(!shown.contains("secret") && !shown.contains('7'), "{shown}");
    }
}
