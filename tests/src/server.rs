// SPDX-License-Identifier: GPL-3.0-or-later
//! A process that serves: started in a group of its own, its log read, ended with its value.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    log::{Log, PATIENCE},
    scratch::Scratch,
};

/// A running process.
pub struct Server {
    name: String,
    child: Child,
    group: Pid,
    status: Option<ExitStatus>,
    stop: Signal,
    log: Log,
    scratch: Scratch,
}

impl Server {
    /// Starts a process that ends in good order on `stop`.
    pub fn start(scratch: &Scratch, name: &str, command: &mut Command, stop: Signal) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        scratch.mark(command);
        let child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {name}: {error}"));
        // The command holds the pipe's other end too, and would keep the log from ending.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        scratch.hold(child.id(), signal_name(stop));
        Self {
            name: name.to_owned(),
            group: Pid::from_raw(child.id().cast_signed()),
            child,
            status: None,
            stop,
            log: Log::follow(name, reader),
            scratch: scratch.clone(),
        }
    }

    /// Returns what the process said.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the process id, which is the group's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process and those that it started.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            let _ = killpg(self.group, signal);
        }
    }

    /// Stops the process where it is, as a machine does that hangs.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Ends the process at once, as `kill -9` does, and waits for its end.
    pub fn kill9(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.wait(PATIENCE).unwrap()
    }

    /// Asks the process to end in good order and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it does not end within [`PATIENCE`].
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(self.stop);
        self.wait(PATIENCE)
            .unwrap_or_else(|| panic!("{} does not end:\n{}", self.name, self.log))
    }

    /// Tells whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.wait(Duration::ZERO).is_none()
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
            if self.status.is_some() {
                // What it started must not outlive it.
                let _ = killpg(self.group, Signal::SIGKILL);
                self.scratch.free(self.child.id());
            } else if Instant::now() >= deadline {
                return None;
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what {} said:\n{}", self.name, self.log);
        }
        self.resume();
        self.signal(self.stop);
        if self.wait(Duration::from_secs(10)).is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.wait(Duration::from_secs(10));
        }
    }
}

/// Runs a command to its end and returns what it wrote to standard output.
///
/// # Panics
///
/// Panics, showing what it wrote, unless its status is 0.
pub fn run(scratch: &Scratch, command: &mut Command) -> Vec<u8> {
    scratch.mark(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("failed to run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {} (signal {:?}):\n{}{}",
        output.status,
        output.status.signal(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}

/// Makes a command that runs as a user of the system, if we may; else as ourselves.
pub fn command_as(user: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !crate::scratch::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--init-groups", "--"])
        .arg(program);
    command
}

/// `kill -s` knows signals without their prefix.
fn signal_name(signal: Signal) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}
