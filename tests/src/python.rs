// SPDX-License-Identifier: GPL-3.0-or-later
//! Other people's programs in Python that judge ours: validators, parsers, clients. They are fetched once, into a virtual
//! environment below `target/`, in the versions that are written here.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use crate::scratch::Scratch;

/// What is fetched. A new version is tried by hand first.
const PACKAGES: [&str; 5] = [
    "feedparser==6.0.14",
    "openapi-python-client==0.29.1",
    "openapi-spec-validator==0.9.0",
    "schemathesis==4.32.5",
    "standardwebhooks==1.1.0",
];

/// An environment with the packages.
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// Returns the environment, made now if it is not there; `None`, said in a line, where it cannot be fetched.
    pub fn find() -> Option<Self> {
        let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
        fs::create_dir_all(&target).unwrap();
        let folder = fs::canonicalize(target).unwrap().join("python");
        // Tests of several processes want it at once; one makes it.
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let stamp = folder.join("packages");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Some(Self { folder });
        }
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            && run(Command::new(folder.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(PACKAGES));
        if !made {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let line = format!("skipped {test}: packages for Python cannot be fetched\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        }
        fs::write(stamp, wanted).unwrap();
        Some(Self { folder })
    }

    /// Runs one of the programs of the environment.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let scratch = Scratch::new("py");
        let mut command = Command::new(self.folder.join("bin").join(program));
        scratch.mark(&mut command);
        command
            .args(arguments)
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a script and returns what it printed.
    ///
    /// # Panics
    ///
    /// Panics, showing what it said, unless its status is 0.
    pub fn script(&self, text: &str, arguments: &[&str]) -> String {
        let mut all = vec!["-c", text];
        all.extend(arguments);
        let output = self.run("python", &all);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "the script ended with {}:\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }
}

fn run(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}
