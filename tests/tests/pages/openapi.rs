// SPDX-License-Identifier: GPL-3.0-or-later
//! The description of the API: others' programs find it valid and true, and nothing in it leads to another user's data.

use harness::{
    database::Database, installation::Installation, python::Python, scratch::Scratch, sink::Sink,
    web::Visitor,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::Account;

#[tokio::test]
async fn description_is_found_valid() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;

    let said = python.script(
        "import sys, json, urllib.request, openapi_spec_validator
document = json.load(urllib.request.urlopen(sys.argv[1]))
openapi_spec_validator.validate(document)
print(document['openapi'], len(document['paths']))",
        &[&format!("{}/api/openapi.json", installation.url())],
    );

    assert!(said.starts_with("3.1."), "{said}");
}

/// Somebody else's generator makes a client out of the description, and the client works.
#[tokio::test(flavor = "multi_thread")]
async fn description_generates_a_working_client() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 20).await;
    let scratch = Scratch::new("client");
    // No other program is to make the code pretty.
    let wishes = scratch.write("wishes.yaml", "post_hooks: []\n");
    let folder = scratch.path().join("fairtrack_client");

    let made = python.run(
        "openapi-python-client",
        &[
            "generate",
            "--url",
            &format!("{}/api/openapi.json", installation.url()),
            "--meta=none",
            &format!("--config={}", wishes.display()),
            &format!("--output-path={}", folder.display()),
        ],
    );
    let complaints =
        String::from_utf8_lossy(&made.stdout).into_owned() + &String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{complaints}");
    // It leaves out what it does not understand, and says so.
    assert!(!complaints.contains("Warning"), "{complaints}");

    let said = python.script(
        "import sys, json
sys.path.insert(0, sys.argv[1])
from fairtrack_client import AuthenticatedClient
from fairtrack_client.api.account import change_settings, me, settings
from fairtrack_client.api.messages import message, messages
from fairtrack_client.models import ChangeSettingsBody, ChangeSettingsBodyDigest, MessagesState
client = AuthenticatedClient(base_url=sys.argv[2] + '/api/v1', token=sys.argv[3], raise_on_unexpected_status=True)
found = messages.sync(client=client, state=MessagesState.CLICKED, limit=3)
one = message.sync(found.messages[0].id, client=client)
change_settings.sync(client=client, body=ChangeSettingsBody(digest=ChangeSettingsBodyDigest.DAILY))
print(json.dumps({'login': me.sync(client=client).login, 'messages': len(found.messages), 'has_more': found.next_ is not None,
    'events': len(one.events), 'digest': str(settings.sync(client=client).digest)}))",
        &[
            &scratch.path().display().to_string(),
            &installation.url(),
            &anna.token,
        ],
    );

    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said,
        json!({"login": "anna@example.com", "messages": 3, "has_more": true, "events": 7, "digest": "daily"})
    );
}

/// Schemathesis makes requests out of the description, good and bad, and compares what comes back with what it promises.
#[tokio::test(flavor = "multi_thread")]
async fn description_is_true() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let database = Database::start().await;
    let sink = Sink::start();
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .set("collector.api_limit", 1_000_000)
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 20).await;

    let output = python.run(
        "schemathesis",
        &[
            "run",
            &format!("{}/api/openapi.json", installation.url()),
            "--header",
            &format!("Authorization: Bearer {}", anna.token),
            // A stream has no end to wait for.
            "--exclude-path",
            "/notifications/stream",
            "--phases=examples,coverage,fuzzing",
            "--max-examples=25",
            "--seed=2026",
            "--generation-database=none",
            "--request-timeout=20",
            // JSON Schema cannot say that a date must not lie ahead, or that an address must not be an office's.
            "--exclude-checks=positive_data_acceptance",
            "--no-color",
        ],
    );

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let said: String = said.split_whitespace().collect();
    assert!(
        said.contains("✅Coverage") && said.contains("✅Fuzzing"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_anothers_is_not_there_wherever_the_description_leads() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    anna.send(&database, 3).await;
    anna.fill(&installation.url()).await;
    let base = format!("{}/api/v1", installation.url());
    let description = Visitor::new()
        .get(&format!("{}/api/openapi.json", installation.url()))
        .await
        .json();
    let before = anna_sees(&anna, &base).await;

    let mut tried = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        let ids = match path.split_once("/{id}") {
            Some((collection, _)) => ids(&anna, &format!("{base}{collection}")).await,
            None => vec![String::new()],
        };
        assert!(!ids.is_empty(), "nothing of anna's to try below {path}");
        for (method, operation) in methods {
            let is_read = method == "get";
            let has_id = path.contains("{id}");
            if path.ends_with("/stream") || !(is_read || has_id) {
                continue;
            }
            for id in &ids {
                let url = format!("{base}{}", path.replace("{id}", id));
                for mut other in [eve.browser(), eve.program()] {
                    let body = body(operation);
                    let answer = other.send_json(&method.to_uppercase(), &url, &body).await;
                    tried += 1;
                    if has_id {
                        assert_eq!(answer.status, 404, "{method} {path}");
                    }
                    let text = answer.text();
                    for word in ["stairwell", "customer", "anna@", &anna.id.to_string()] {
                        assert!(!text.contains(word), "{method} {path} tells \"{word}\"");
                    }
                }
            }
        }
    }

    assert!(tried > 30, "only {tried} requests were made");
    assert_eq!(anna_sees(&anna, &base).await, before);
}

/// Whatever has ids, as its owner sees it.
async fn anna_sees(anna: &Account, base: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["messages", "settings", "notifications", "webhooks"] {
        seen.push(anna.program().get(&format!("{base}/{path}")).await.json());
    }
    seen
}

/// Returns the ids of whatever a collection lists first.
async fn ids(owner: &Account, url: &str) -> Vec<String> {
    let list = owner.program().get(url).await.json();
    let items = list
        .as_object()
        .unwrap()
        .values()
        .find_map(Value::as_array)
        .unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Makes a body that an operation takes.
fn body(operation: &Value) -> Value {
    let properties = operation
        .pointer("/requestBody/content/application~1json/schema/properties")
        .and_then(Value::as_object);
    let fields = properties.into_iter().flatten().map(|(name, property)| {
        let word = |name: &str| property.get(name).and_then(Value::as_str);
        let value = match (word("type"), word("format")) {
            (Some("boolean"), _) => json!(true),
            (Some("integer"), _) => json!(1),
            (Some("array"), _) => json!([]),
            (_, Some("uuid")) => json!(Uuid::nil()),
            _ => property.pointer("/enum/0").cloned().unwrap_or_default(),
        };
        (name.clone(), value)
    });
    fields.collect()
}
