// SPDX-License-Identifier: GPL-3.0-or-later
//! Others that change messages on a mail server: each adds a disclaimer of a line to the text and to the HTML. None of
//! them rewrites a link.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use harness::{bars::Bars, programs, scratch::Scratch};
use nix::sys::resource::UsageWho;

use super::{
    messages::{Encoding, Sample},
    time_of,
};

/// A program that is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    /// A process for each message, as it is used.
    Altermime,
    /// Perl as a worker of MIMEDefang runs it; what its start takes is subtracted.
    MimeDefang,
    /// `rspamadm mime modify`; what its start takes is subtracted.
    Rspamd,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Altermime, Self::Rspamd, Self::MimeDefang];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Altermime => "altermime",
            Self::MimeDefang => "MIMEDefang",
            Self::Rspamd => "rspamd",
        }
    }

    /// Returns how much of its CPU ours may take.
    pub(crate) fn bar(self) -> f64 {
        match self {
            Self::Altermime => 0.5,
            Self::MimeDefang | Self::Rspamd => 0.125,
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::Altermime => programs::find("altermime").is_some(),
            Self::Rspamd => programs::find("rspamadm").is_some(),
            Self::MimeDefang => Command::new("perl")
                .args(["-MMail::MIMEDefang", "-MHTML::Parser", "-e", "1"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
        }
    }
}

/// The programs that are here, and the files that they need.
pub(crate) struct Peers {
    here: Vec<Peer>,
    scratch: Scratch,
    text: PathBuf,
    html: PathBuf,
    /// What calls the functions of MIMEDefang.
    driver: PathBuf,
}

impl Peers {
    /// Looks for them; says which are missing.
    pub(crate) fn find(bars: &mut Bars) -> Self {
        let scratch = Scratch::new("peers");
        let mut here = Vec::new();
        for peer in Peer::ALL {
            if peer.is_here() {
                here.push(peer);
            } else {
                bars.unmeasured(&format!("{}: it is not installed", peer.name()));
            }
        }
        Self {
            here,
            text: scratch.write("disclaimer.txt", "This is a disclaimer.\n"),
            html: scratch.write("disclaimer.html", "<p>This is a disclaimer.</p>\n"),
            driver: scratch.write("mimedefang.pl", include_str!("mimedefang.pl")),
            scratch,
        }
    }

    pub(crate) fn here(&self) -> impl Iterator<Item = Peer> {
        self.here.iter().copied()
    }

    /// Lets a program change a message many times.
    pub(crate) fn measure(&self, peer: Peer, sample: &Sample) -> Taken {
        let message = self.scratch.write("message.eml", &sample.raw);
        let count = (2_000_000 / sample.raw.len()).clamp(3, 60);
        match peer {
            Peer::Altermime => Taken {
                start: Duration::ZERO,
                all: self.altermime(&message, sample.encoding, count),
                count,
            },
            Peer::Rspamd => beyond_the_first(count, |count| {
                Command::new("rspamadm")
                    .args(["mime", "modify", "-t"])
                    .arg(&self.text)
                    .arg("-H")
                    .arg(&self.html)
                    .args(std::iter::repeat_n(&message, count))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
            }),
            Peer::MimeDefang => beyond_the_first(count, |count| {
                let status = Command::new("perl")
                    .arg(&self.driver)
                    .arg(count.to_string())
                    .arg(&message)
                    .arg(self.scratch.path())
                    .status()
                    .unwrap();
                assert!(status.success());
            }),
        }
    }

    fn altermime(&self, message: &Path, encoding: Encoding, count: usize) -> Duration {
        let copies: Vec<PathBuf> = (0..count)
            .map(|number| self.scratch.path().join(format!("copy-{number}.eml")))
            .collect();
        for copy in &copies {
            fs::copy(message, copy).unwrap();
        }
        time_of(UsageWho::RUSAGE_CHILDREN, || {
            for copy in &copies {
                let mut command = Command::new("altermime");
                command
                    .arg(format!("--input={}", copy.display()))
                    .arg(format!("--disclaimer={}", self.text.display()))
                    .arg(format!("--disclaimer-html={}", self.html.display()));
                if encoding == Encoding::Base64 {
                    command.arg("--force-into-b64");
                }
                let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
                assert!(status.unwrap().success());
            }
        })
    }
}

/// What a program took, its system time included. The start and the whole have their least times apart, as one is
/// subtracted from the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// For its start and one message; nothing if the start belongs to each.
    start: Duration,
    all: Duration,
    /// The messages that were changed beyond that.
    count: usize,
}

impl Taken {
    pub(crate) const WORST: Self = Self {
        start: Duration::MAX,
        all: Duration::MAX,
        count: 1,
    };

    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            all: self.all.min(other.all),
            count: other.count,
        }
    }

    /// Returns the time of one message.
    pub(crate) fn each(self) -> Duration {
        self.all.saturating_sub(self.start) / u32::try_from(self.count).unwrap()
    }
}

fn beyond_the_first(count: usize, run: impl Fn(usize)) -> Taken {
    Taken {
        start: time_of(UsageWho::RUSAGE_CHILDREN, || run(1)),
        all: time_of(UsageWho::RUSAGE_CHILDREN, || run(count + 1)),
        count,
    }
}
