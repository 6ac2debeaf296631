// SPDX-License-Identifier: GPL-3.0-or-later
//! `manuals FOLDER`: writes manual pages and shell completions, made from the definitions of the command lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .context("which folder? (manuals FOLDER)")?
        .into();
    for mut command in [
        milter::cli::CommandLine::command(),
        collector::options::Options::command(),
        collector::cli::options::Options::command(),
    ] {
        let name = command.get_name().to_owned();
        for shell in Shell::value_variants() {
            generate_to(*shell, &mut command, &name, &folder)?;
        }
        command.build();
        page(&command, &name, &folder)?;
    }
    Ok(())
}

/// Writes the page of a command, and one for each command below it.
fn page(command: &Command, name: &str, folder: &Path) -> anyhow::Result<()> {
    let titled = command.clone().display_name(name.to_owned());
    let mut text = Vec::new();
    Man::new(titled)
        .section("8")
        .manual("Fairtrack")
        .render(&mut text)?;
    fs::write(folder.join(format!("{name}.8")), text)?;
    for below in command.get_subcommands() {
        // What clap adds by itself needs no page.
        if below.get_name() != "help" {
            page(below, &format!("{name}-{}", below.get_name()), folder)?;
        }
    }
    Ok(())
}
