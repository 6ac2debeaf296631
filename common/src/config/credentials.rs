// SPDX-License-Identifier: GPL-3.0-or-later
//! Secrets that the service manager hands over as files (systemd: `LoadCredential=`); they win over what the
//! configuration file says, so that neither the key file nor a password need be readable by the programs' user.
//!
//! `fairtrack.keys` is a key file, `fairtrack.database-url` holds the URL of the database. Both may be missing.

use std::{fs, io, path::Path};

use super::{Config, ConfigError};

/// The variable in which the service manager names the folder.
pub(super) const VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Takes what lies in the folder.
///
/// # Errors
///
/// Fails if a file is there and cannot be read.
pub(super) fn take(config: &mut Config, folder: &Path) -> Result<(), ConfigError> {
    let keys = folder.join("fairtrack.keys");
    if keys.exists() {
        config.keys.file = keys;
    }
    let url = folder.join("fairtrack.database-url");
    match fs::read_to_string(&url) {
        Ok(text) => config.database.use_only(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(ConfigError::Read { path: url, source }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handed_over_secrets_win_over_the_file() {
        let folder = std::env::temp_dir().join(format!("ft-credentials-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut config = Config::for_testing();
        let (keys, url) = (config.keys.file.clone(), config.database.url.clone());

        take(&mut config, &folder).unwrap();
        assert!(config.keys.file == keys && config.database.url == url);

        fs::write(folder.join("fairtrack.keys"), "").unwrap();
        fs::write(folder.join("fairtrack.database-url"), "postgres://x\n").unwrap();
        take(&mut config, &folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();

        assert_eq!(config.keys.file, folder.join("fairtrack.keys"));
        assert_eq!(config.database.url.expose(), "postgres://x");
    }
}
