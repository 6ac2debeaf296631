// SPDX-License-Identifier: GPL-3.0-or-later
//! What a server said: read line by line as it comes, waited upon, shown when a test fails.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;

/// The lines that a server has written so far.
#[derive(Clone)]
pub struct Log {
    name: String,
    lines: Arc<Mutex<Vec<String>>>,
    changes: watch::Receiver<()>,
}

/// How long a server may take to say what is expected of it. Far more than any needs, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Log {
    /// Reads everything that comes, on a thread of its own, to the end.
    pub fn follow(name: &str, source: impl Read + Send + 'static) -> Self {
        let (changed, changes) = watch::channel(());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                written.lock().unwrap().push(text);
                line.clear();
                changed.send_replace(());
            }
        });
        Self {
            name: name.to_owned(),
            lines,
            changes,
        }
    }

    /// Returns the lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Returns how many lines there are: a place from which to wait for what comes later.
    pub fn mark(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// Waits for a line that contains the text, old lines included, and returns it.
    ///
    /// # Panics
    ///
    /// Panics, showing the log, if the server ends or [`PATIENCE`] does without such a line.
    pub async fn wait_for(&self, text: &str) -> String {
        self.wait_for_after(0, text).await
    }

    /// Waits for a line after a mark that contains the text, and returns it.
    ///
    /// # Panics
    ///
    /// As [`Self::wait_for`].
    pub async fn wait_for_after(&self, mark: usize, text: &str) -> String {
        let mut changes = self.changes.clone();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                changes.mark_unchanged();
                let found = self.find_after(mark, text);
                if found.is_some() || changes.changed().await.is_err() {
                    // The server's last words may have come after we looked.
                    return found.or_else(|| self.find_after(mark, text));
                }
            }
        })
        .await;
        match found {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended without saying \"{text}\":\n{self}", self.name),
            Err(_) => panic!("{} never said \"{text}\":\n{self}", self.name),
        }
    }

    fn find_after(&self, mark: usize, text: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .skip(mark)
            .find(|line| line.contains(text))
            .cloned()
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.lines() {
            writeln!(f, "    {}: {line}", self.name)?;
        }
        Ok(())
    }
}
