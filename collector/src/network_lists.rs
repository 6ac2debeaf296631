// SPDX-License-Identifier: GPL-3.0-or-later
//! The operator's lists of networks: a folder with one file for each published list, in a form of our own.
//!
//! A list takes the place of the one of the same name at once or not at all. One that cannot be read, or that changes by
//! more than half, is refused, and the last good one stays.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::classify::{
    Network, NetworkList, Networks, check_change, parse_networks, write_networks,
};

/// The end of the names of our files.
const SUFFIX: &str = "networks";

/// What became of one list.
#[derive(Debug)]
pub struct Updated {
    pub file: PathBuf,
    pub prefixes_before: Option<usize>,
    pub prefixes: usize,
}

/// Reads the compiled-in networks and every list of the folder. A folder that is not there holds none.
///
/// # Errors
///
/// If the folder or a list in it cannot be read.
pub fn load(folder: &Path) -> anyhow::Result<Networks> {
    let mut files = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                files.push(entry?.path());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error)
                .with_context(|| format!("failed to read folder \"{}\"", folder.display()));
        }
    }
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == SUFFIX));
    // Where two lists know one prefix, the choice must not depend on the file system.
    files.sort();
    let lists: Vec<NetworkList> = files
        .iter()
        .map(|file| read(file, None))
        .collect::<Result<_, _>>()?;
    Ok(Networks::with_files(lists))
}

/// Puts a published list into the folder, in the place of the one of the same name.
///
/// # Errors
///
/// If the list is refused, or a file cannot be read or written. The folder is then as it was.
pub fn update(folder: &Path, source: &Path, label: Option<Network>) -> anyhow::Result<Updated> {
    let Some(name) = source.file_stem() else {
        bail!("\"{}\" names no file", source.display());
    };
    let list = read(source, label)?;
    let file = folder.join(name).with_added_extension(SUFFIX);
    let prefixes_before = if file.exists() {
        // A damaged list of ours must not keep a good one out.
        read(&file, None).ok().map(|before| before.entries.len())
    } else {
        None
    };
    if let Some(before) = prefixes_before {
        check_change(before, list.entries.len())
            .with_context(|| format!("refused list \"{}\"", source.display()))?;
    }
    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create folder \"{}\"", folder.display()))?;
    let draft = file.with_added_extension("new");
    fs::write(&draft, write_networks(&list))
        .and_then(|()| fs::rename(&draft, &file))
        .with_context(|| format!("failed to write list \"{}\"", file.display()))?;
    Ok(Updated {
        file,
        prefixes_before,
        prefixes: list.entries.len(),
    })
}

fn read(file: &Path, label: Option<Network>) -> anyhow::Result<NetworkList> {
    let bytes =
        fs::read(file).with_context(|| format!("failed to read list \"{}\"", file.display()))?;
    parse_networks(&bytes, label).with_context(|| format!("refused list \"{}\"", file.display()))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    /// A folder of the test's own, gone at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("fairtrack-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let file = self.0.join(name);
            fs::write(&file, text).unwrap();
            file
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn label(folder: &Folder, ip: &str) -> Network {
        load(&folder.0)
            .unwrap()
            .label(Some(ip.parse().unwrap()), None)
    }

    #[test]
    fn a_list_that_was_put_in_is_used() {
        let folder = Folder::new("used");
        let source = folder.file(
            "amazon.json",
            r#"{"prefixes":[{"ip_prefix":"192.0.2.0/24"}]}"#,
        );

        let updated = update(&folder.0, &source, None).unwrap();

        assert_eq!(updated.prefixes, 1);
        assert_eq!(label(&folder, "192.0.2.7"), Network::Hosting);
        assert_eq!(label(&folder, "198.51.100.7"), Network::Unlisted);
        assert_eq!(label(&folder, "66.249.84.6"), Network::Google);
    }

    #[test]
    fn a_list_that_shrinks_too_much_leaves_the_last_good_one() {
        let folder = Folder::new("shrinks");
        let text = "192.0.2.0/25\n192.0.2.128/25\n198.51.100.0/24\n";
        let source = folder.file("gateway.txt", text);
        update(&folder.0, &source, Some(Network::WebGateway)).unwrap();
        let source = folder.file("gateway.txt", "203.0.113.0/24\n");

        let error = update(&folder.0, &source, Some(Network::WebGateway)).unwrap_err();

        assert!(format!("{error:#}").contains("from 3 prefixes to 1"));
        assert_eq!(label(&folder, "192.0.2.7"), Network::WebGateway);
        assert_eq!(label(&folder, "203.0.113.7"), Network::Unlisted);
    }

    #[test]
    fn no_folder_means_no_lists() {
        let nowhere = env::temp_dir().join("fairtrack-nowhere-at-all");

        assert!(load(&nowhere).is_ok());
    }
}
