// SPDX-License-Identifier: GPL-3.0-or-later
//! How much memory an edit takes at its peak, the message itself counted: each in a process of its own, as the kernel
//! tells the peak for a process only.

use std::{fs, hint::black_box, process::Command};

use harness::{bars::Bars, scratch::Scratch};
use milter::{instrument::instrument, message::Message};

use super::{
    Ours,
    messages::{Encoding, Sample},
};

/// The peak may be so many times the message's size, and this constant beside it.
const BAR: f64 = 4.0;
const CONSTANT: f64 = 4.0;

/// Measures, and prints a table.
pub(crate) fn compare(bars: &mut Bars) {
    println!("\nPeak memory of an edit with its check, the message included, beyond {CONSTANT} MB");
    let scratch = Scratch::new("memory");
    for size in [1, 10, 25] {
        for encoding in Encoding::ALL {
            let sample = Sample::new(size * 1_000_000, encoding);
            let length = sample.raw.len() as f64 / 1e6;
            let file = scratch.write("message.eml", &sample.raw);
            drop(sample);
            let output = Command::new(std::env::current_exe().unwrap())
                .arg("memory")
                .arg(file)
                .output()
                .unwrap();
            let peak: f64 = String::from_utf8(output.stdout)
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let ratio = (peak - CONSTANT).max(0.0) / length;
            let name = encoding.name();
            let what = format!("peak memory at {size} MB {name}, times the message");
            let word = bars.at_most(&what, ratio, BAR);
            println!(
                "  {size:3} MB {name:17} message {length:5.1} MB, peak {peak:6.1} MB: \
                 {ratio:.2} times, at most {BAR}: {word}"
            );
        }
    }
}

/// Edits the message in a file, and prints in megabytes by how much this process grew for it, the message included.
pub(crate) fn tell(file: &str) {
    // What is made once and stays, such as tables of words, belongs to the program.
    let small = Sample::new(10_000, Encoding::QuotedPrintable);
    Ours::new(&small).checked();
    let before = status("VmRSS:");

    let message = {
        let raw = fs::read(file).unwrap();
        Message::parse(&raw)
    };
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let ours = Ours::new(&small);
    black_box(instrument(&message, &ours.plan()).unwrap());

    println!("{:.2}", (status("VmHWM:") - before) * 1024.0 / 1e6);
}

fn status(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.unwrap().split_whitespace().next().unwrap();
    kibibytes.parse().unwrap()
}
