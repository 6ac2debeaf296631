// SPDX-License-Identifier: GPL-3.0-or-later
//! The shipped configurations can be read, and the container images are what the compose file says of them.

use std::{fs, path::PathBuf, process::Command};

use common::config::Config;
use harness::{database::Database, needs};

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[test]
fn shipped_configurations_are_valid() {
    for name in ["fairtrack.toml", "container/fairtrack.toml"] {
        let path = deploy().join(name);
        let text = fs::read_to_string(&path).unwrap();

        if let Err(error) = Config::parse(&path, &text) {
            panic!("{error}");
        }
    }
}

#[test]
fn our_images_are_pinned_small_and_run_as_nobody_in_particular() {
    for name in ["milter", "collector"] {
        let path = deploy().join(format!("container/Containerfile.{name}"));
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let bases: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("FROM "))
            .map(|base| base.split(' ').next().unwrap())
            .collect();

        assert_eq!(bases.len(), 2, "{name}: built in one image, run in another");
        for base in bases {
            let tag = base.rsplit(':').next().unwrap();
            assert!(base.contains(':') && tag != "latest", "{name}: {base}");
        }
        assert!(lines.contains(&"USER 10001:10001"), "{name}");
        assert!(text.contains("cargo build --release --locked"), "{name}");
        assert!(
            text.contains(&format!("ENTRYPOINT [\"/usr/bin/fairtrack-{name}\"]")),
            "{name}"
        );
    }
}

#[test]
fn compose_file_names_what_is_there_and_takes_rights_away() {
    let text = fs::read_to_string(deploy().join("container/compose.yaml")).unwrap();

    for file in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("dockerfile: "))
    {
        assert!(deploy().join("..").join(file).is_file(), "{file}");
    }
    assert_eq!(text.matches("cap_drop: [ALL]").count(), 2);
    assert_eq!(text.matches("read_only: true").count(), 2);
    assert!(
        text.contains("\"127.0.0.1:8080:8080\""),
        "the collector speaks no TLS"
    );
}

#[tokio::test]
async fn database_of_the_compose_file_has_an_ordinary_owner() {
    needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    // The socket's folder, as psql takes it.
    let url = database.cluster().url();
    let (_, folder) = url.split_once("host=").unwrap();
    let folder = folder.split('&').next().unwrap().replace("%2F", "/");

    let done = Command::new("sh")
        .arg(deploy().join("container/database.sh"))
        .env("PGHOST", folder)
        .env("POSTGRES_PASSWORD", "it's \"long\" $enough")
        .output()
        .unwrap();

    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let ordinary = database
        .count(
            "SELECT count(*) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
             WHERE datname = 'fairtrack' AND rolname = 'fairtrack' AND rolcanlogin
                AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)",
            &[],
        )
        .await;
    assert_eq!(ordinary, 1);
}
