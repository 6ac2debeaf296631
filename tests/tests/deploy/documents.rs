// SPDX-License-Identifier: GPL-3.0-or-later
//! What the documents say: every command parses, every program and target exists, every metric is there and explained.
//!
//! The commands under "Installation" in the README are run, one by one, by `tests/packages`.

use std::{collections::BTreeSet, fs, path::PathBuf};

use clap::{Command, CommandFactory};
use harness::{
    database::Database, installation::Installation, needs, programs::find, web::Visitor,
};
use serde_json::Value;

fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(checkout().join(name)).unwrap()
}

fn documents() -> Vec<(String, String)> {
    let mut documents = vec![("README.md".to_owned(), read("README.md"))];
    for entry in fs::read_dir(checkout().join("docs")).unwrap() {
        let name = format!("docs/{}", entry.unwrap().file_name().to_string_lossy());
        if name.ends_with(".md") {
            documents.push((name.clone(), read(&name)));
        }
    }
    documents
}

/// The commands in blocks marked as `sh` or `console`, continued lines joined. In a console only what follows a prompt.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut block = None;
    let mut begun = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("```") {
            block = match block {
                None => Some(kind.to_owned()),
                Some(_) => None,
            };
            continue;
        }
        let line = match block.as_deref() {
            Some("sh") => line,
            Some("console") if !begun.is_empty() => line,
            Some("console") => match line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")) {
                Some(command) => command,
                None => continue,
            },
            _ => continue,
        };
        match line.strip_suffix('\\') {
            Some(part) => begun.push_str(part),
            None => {
                let command = std::mem::take(&mut begun) + line;
                let command = command.split(" # ").next().unwrap().trim().to_owned();
                if !command.is_empty() && !command.starts_with('#') {
                    commands.push(command);
                }
            }
        }
    }
    commands
}

/// What stands in backquotes and begins with one of our programs.
fn mentions(text: &str) -> Vec<String> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .map(|span| span.replace('\n', " "))
        .filter(|span| definition(span.split(' ').next().unwrap()).is_some())
        .collect()
}

fn definition(program: &str) -> Option<Command> {
    match program {
        "fairtrack-collector" => Some(collector::options::Options::command()),
        "fairtrack-milter" => Some(milter::cli::CommandLine::command()),
        "fairtrackctl" => Some(collector::cli::options::Options::command()),
        _ => None,
    }
}

/// Takes a command line apart as a shell does, redirections left out.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    let redirection = words.iter().position(|word| word.starts_with(['<', '>']));
    words.truncate(redirection.unwrap_or(words.len()));
    words
}

/// The commands proper: assignments and changes of user taken off, lists taken apart.
fn simple(command: &str) -> Vec<Vec<String>> {
    command
        .split(" && ")
        .map(|command| {
            let mut words = words(command);
            if words.first().is_some_and(|word| word == "runuser") {
                let end = words.iter().position(|word| word == "--").unwrap();
                words.drain(..=end);
            }
            let is_assignment = |word: &String| {
                word.split_once('=').is_some_and(|(name, _)| {
                    name.chars()
                        .all(|character| character.is_ascii_alphabetic() || character == '_')
                })
            };
            while words.first().is_some_and(is_assignment) {
                words.remove(0);
            }
            words
        })
        .filter(|words| !words.is_empty())
        .collect()
}

/// Parses without doing anything. A command without what it needs is a mention of it.
fn parse(words: &[String], is_mention: bool) -> Result<(), String> {
    use clap::error::ErrorKind;
    let Some(program) = words.first().and_then(|program| definition(program)) else {
        return Ok(());
    };
    match program.try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if is_mention =>
            {
                Ok(())
            }
            _ => Err(error.to_string()),
        },
    }
}

#[test]
fn every_command_of_ours_parses() {
    let mut parsed = 0;
    for (name, text) in documents() {
        for command in commands(&text) {
            for words in simple(&command) {
                parsed += usize::from(definition(&words[0]).is_some());
                parse(&words, false).unwrap_or_else(|error| panic!("{name}: {command}\n{error}"));
            }
        }
        for mention in mentions(&text) {
            parsed += 1;
            parse(&words(&mention), true)
                .unwrap_or_else(|error| panic!("{name}: {mention}\n{error}"));
        }
    }
    assert!(parsed > 20, "{parsed}");
    assert!(parse(&words("fairtrackctl doctor --nothing"), true).is_err());
    assert!(parse(&words("fairtrackctl nothing"), true).is_err());
}

#[test]
fn every_other_program_and_every_target_exists() {
    // What a user has, and a machine that builds or tests may not.
    const ELSEWHERE: [&str; 4] = ["editor", "systemctl", "apt-get", "useradd"];
    let makefile = read("Makefile");
    for (name, text) in documents() {
        for words in commands(&text).iter().flat_map(|command| simple(command)) {
            let program = words[0].as_str();
            if program == "make" {
                for target in words.iter().skip(1).filter(|word| !word.contains('=')) {
                    assert!(
                        makefile.contains(&format!("\n{target}:")),
                        "{name}: make {target}"
                    );
                }
                continue;
            }
            let is_here = definition(program).is_some()
                || ELSEWHERE.contains(&program)
                || find(program).is_some()
                || harness::programs::postgresql(program).is_some()
                || checkout().join(program).exists()
                || program
                    .strip_prefix("/usr/share/fairtrack/")
                    .is_some_and(|name| checkout().join("deploy/deb").join(name).exists());
            assert!(is_here, "{name}: {program}");
        }
    }
}

#[test]
fn every_file_that_is_linked_exists() {
    for (name, text) in documents() {
        let folder = checkout().join(&name);
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(
                folder.parent().unwrap().join(file).exists(),
                "{name}: {link}"
            );
        }
    }
}

/// The names in a text that begin as our metrics do.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .filter(|word| word.starts_with("fairtrack_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_metric_is_explained_and_drawn_and_none_is_made_up() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;

    let page = Visitor::new()
        .get(&format!("{}/metrics", installation.admin_url()))
        .await;
    let real = metrics_in(&page.text());
    let dashboard = read("deploy/grafana.json");
    let panels: Value = serde_json::from_str(&dashboard).unwrap();
    let text = read("docs/operation.md");
    // Not metrics: what is called so in main.cf.
    let explained = metrics_in(&text)
        .into_iter()
        .filter(|name| name != "fairtrack_")
        .collect::<BTreeSet<_>>();

    assert!(real.len() > 10, "{real:?}");
    assert_eq!(explained, real);
    assert_eq!(metrics_in(&dashboard), real);
    assert!(panels["panels"].as_array().unwrap().len() > 5);
}
