// SPDX-License-Identifier: GPL-3.0-or-later
//! axe-core: looks at the page that a [`Browser`] shows and says which rules of accessibility (WCAG 2.2, A and AA) it
//! breaks.
//!
//! How to use it:
//!
//! ```ignore
//! harness::needs!(PostgreSql, Chromium);
//! let Some(axe) = Axe::get() else { return };       // says in a line that the test was skipped, and why
//! let browser = Browser::start().await;
//! for scheme in ["light", "dark"] {
//!     browser.prefer(scheme).await;
//!     browser.open(&url).await;
//!     axe.check(&browser, "the report, dark").await; // panics and names each fault, its rule and its place
//! }
//! ```
//!
//! [`Axe::faults`] gives the same as values. What is checked is the page as it stands: open menus and dialogs first.
//!
//! axe-core is not ours (MPL-2.0) and not small, so it is not in the checkout: the first test that wants it has npm fetch
//! one version, whose hash is known here, into `target/`. Without npm or a network the test is skipped. On a machine
//! without either, put the file there by hand.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::consent::chain::{hex, sha256};
use serde_json::Value;

use crate::{browser::Browser, scratch::Scratch};

/// The checker.
pub struct Axe {
    script: String,
}

/// A rule that a page breaks.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The rule's name: `color-contrast`.
    pub rule: String,
    /// `minor`, `moderate`, `serious` or `critical`.
    pub impact: String,
    pub help: String,
    /// The elements, each with what is wrong with it.
    pub places: Vec<String>,
    /// Whether WCAG asks for it at level A or AA; other rules are good practice.
    pub is_required: bool,
}

const VERSION: &str = "4.13.0";

/// SHA-256 of `axe.min.js` in that version.
const HASH: &str = "c24f097bd2f451d4f933e8bc7d8d539f8672a2ebcb5cc9f9f3eec8ca9470a0c1";

impl Axe {
    /// Returns the checker; says in a line that the test is skipped where it cannot be had.
    pub fn get() -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target")
            .join(format!("axe-core-{VERSION}.min.js"));
        let script = read(&path).or_else(|| {
            fetch(&path);
            read(&path)
        });
        if script.is_none() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let line =
                format!("skipped {test}: it needs axe-core {VERSION}, which npm did not bring\n");
            // Not `eprintln!`: that is shown for failed tests only.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        script.map(|script| Self { script })
    }

    /// Returns what is wrong with the page that the browser shows.
    pub async fn faults(&self, browser: &Browser) -> Vec<Fault> {
        let client = browser.client();
        client.execute(&self.script, Vec::new()).await.unwrap();
        let found = client.execute_async(RUN, Vec::new()).await.unwrap();
        let found = found
            .as_array()
            .unwrap_or_else(|| panic!("axe-core did not finish: {found}"));
        found.iter().map(Fault::read).collect()
    }

    /// Checks that the page breaks no rule of WCAG 2.2 A or AA, and no other whose breach is serious.
    ///
    /// # Panics
    ///
    /// Panics if it does, and says where.
    pub async fn check(&self, browser: &Browser, page: &str) {
        let faults = self.faults(browser).await;
        let grave: Vec<&Fault> = faults.iter().filter(|fault| fault.is_grave()).collect();
        assert!(grave.is_empty(), "{page}: {grave:#?}");
    }
}

impl Fault {
    /// Tells whether WCAG 2.2 A or AA asks for what is missing, or somebody cannot use the page without it.
    pub fn is_grave(&self) -> bool {
        self.is_required || matches!(self.impact.as_str(), "critical" | "serious")
    }

    fn read(found: &Value) -> Self {
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let list = |name: &str| -> Vec<String> {
            found[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Self {
            rule: text("id"),
            impact: text("impact"),
            help: text("help"),
            places: list("places"),
            is_required: list("tags").iter().any(|tag| tag.starts_with("wcag")),
        }
    }
}

const RUN: &str = "
const done = arguments[arguments.length - 1];
axe.run(document, {
    preload: false,
    resultTypes: ['violations'],
    // WCAG 2.2, and off unless asked for.
    rules: {'target-size': {enabled: true}},
}).then(
    found => done(found.violations.map(fault => ({
        id: fault.id, impact: fault.impact, help: fault.help,
        // Rules of level AAA are off; they would be tagged `wcag2aaa`.
        tags: fault.tags.filter(tag => !tag.endsWith('aaa')),
        places: fault.nodes.map(node => `${node.target.join(' ')}: ${node.failureSummary}`),
    }))),
    error => done(String(error)));
";

/// Returns the file's contents if they are what they should be.
fn read(path: &Path) -> Option<String> {
    let script = fs::read_to_string(path).ok()?;
    (hex(&sha256(&script)) == HASH).then_some(script)
}

/// Has npm fetch the package, and puts the one file of it that is needed in its place.
fn fetch(path: &Path) -> Option<()> {
    let scratch = Scratch::new("axe");
    let folder = scratch.path();
    let packed = Command::new("npm")
        .args(["pack", &format!("axe-core@{VERSION}"), "--silent"])
        .args(["--fetch-retries=1", "--fetch-timeout=20000"])
        .arg("--pack-destination")
        .arg(folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(format!("axe-core-{VERSION}.tgz"))
        .arg("package/axe.min.js")
        .current_dir(folder)
        .output()
        .ok()?;
    if !packed.status.success() || !unpacked.status.success() {
        return None;
    }
    // Other tests may be at it too: whoever is last renames the same file over the same file.
    let mut temporary = PathBuf::from(path);
    temporary.set_extension(std::process::id().to_string());
    fs::create_dir_all(path.parent()?).ok()?;
    fs::copy(folder.join("package/axe.min.js"), &temporary).ok()?;
    fs::rename(&temporary, path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn faults_are_found_and_named() {
        crate::needs!(Chromium);
        let Some(axe) = Axe::get() else { return };
        let browser = Browser::start().await;

        let page = "data:text/html,<html lang=en><title>A</title><main><h1>A</h1>";
        browser.open(page).await;
        let none = axe.faults(&browser).await;
        browser
            .open(&format!(
                "{page}<p style='color:%23aaa'>Pale</p><img src=x>"
            ))
            .await;
        let mut some: Vec<String> = axe
            .faults(&browser)
            .await
            .into_iter()
            .filter(Fault::is_grave)
            .map(|fault| fault.rule)
            .collect();
        some.sort();

        assert!(none.is_empty(), "{none:?}");
        assert_eq!(some, ["color-contrast", "image-alt"]);
    }
}
