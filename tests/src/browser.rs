// SPDX-License-Identifier: GPL-3.0-or-later
//! A real browser: Chromium without a window, steered through WebDriver.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;

use crate::{port::Port, programs::find, scratch::Scratch, server::Server};

/// A running browser with one empty page.
pub struct Browser {
    client: Client,
    _driver: Server,
    _port: Port,
    _scratch: Scratch,
}

impl Browser {
    /// Starts a browser with a profile of its own.
    ///
    /// # Panics
    ///
    /// Panics if Chromium or chromedriver is not installed, or does not start.
    pub async fn start() -> Self {
        let scratch = Scratch::new("web");
        let port = Port::reserve();
        let program = find("chromedriver").expect("chromedriver is not here (chromium-driver)");
        let mut command = Command::new(program);
        command
            .arg(format!("--port={port}"))
            // Whatever the browser wants to keep goes with the folder.
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.folder("tmp", None));
        let mut driver = Server::start(&scratch, "chromedriver", &mut command, Signal::SIGTERM);
        while TcpStream::connect(("127.0.0.1", port.number()))
            .await
            .is_err()
        {
            assert!(driver.is_running(), "chromedriver ended:\n{}", driver.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let profile = scratch.folder("profile", None);
        let options = json!({"goog:chromeOptions": {"args": [
            "--headless=new",
            // There is no sandbox for root.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            // The browser speaks to nobody but our pages.
            "--disable-background-networking",
            "--disable-breakpad",
            "--disable-component-update",
            "--disable-quic",
            "--disable-sync",
            "--no-first-run",
            "--no-default-browser-check",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            "--window-size=1280,900",
            format!("--user-data-dir={}", profile.display()),
        ]},
        // Looking a page over takes long where several browsers share few cores.
        "timeouts": {"script": 120_000}});
        let Value::Object(capabilities) = options else {
            unreachable!("the options are an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("no browser: {error}\n{}", driver.log()));
        let browser = Self {
            client,
            _driver: driver,
            _port: port,
            _scratch: scratch,
        };
        browser.say_nothing_of_missing_window().await;
        browser
    }

    /// Returns the WebDriver client, for everything that pages offer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Returns the visible text of the page.
    pub async fn text(&self) -> String {
        let script = "return document.body.innerText";
        let text = self.client.execute(script, Vec::new()).await.unwrap();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Sets the size of the page's window, in CSS pixels; a phone's is about 360 by 740.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 0, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Lets the page be seen in a colour scheme, `light` or `dark`, by somebody who wants no movement.
    pub async fn prefer(&self, scheme: &str) {
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}
        ]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Saves a picture of the whole page as `screenshots/NAME.png` in the checkout, and returns its path.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let picture = self
            .devtools(
                "Page.captureScreenshot",
                json!({"captureBeyondViewport": true}),
            )
            .await;
        let picture = picture.get("data").and_then(Value::as_str).unwrap();
        let picture = STANDARD.decode(picture).unwrap();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../screenshots");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, picture).unwrap();
        path
    }

    /// Without a window, Chromium calls itself by another name; a person's browser has a window.
    async fn say_nothing_of_missing_window(&self) {
        let script = "return navigator.userAgent";
        let agent = self.client.execute(script, Vec::new()).await.unwrap();
        let agent = agent.as_str().unwrap().replace("HeadlessChrome", "Chrome");
        self.devtools(
            "Emulation.setUserAgentOverride",
            json!({"userAgent": agent}),
        )
        .await;
    }

    /// Gives an order of the DevTools protocol.
    pub async fn devtools(&self, order: &str, parameters: Value) -> Value {
        let order = DevTools {
            order: order.to_owned(),
            parameters,
        };
        self.client.issue_cmd(order).await.unwrap()
    }

    /// Ends the session in good order. Without it the browser ends as well, but its page sees no goodbye.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

#[derive(Debug)]
struct DevTools {
    order: String,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base_url.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let body = json!({"cmd": self.order, "params": self.parameters});
        (Method::POST, Some(body.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn page_is_as_wide_as_it_is_told() {
        crate::needs!(Chromium);
        let browser = Browser::start().await;

        browser
            .open("data:text/html,<meta name=viewport content=width=device-width><p>Good day")
            .await;
        browser.resize(360, 740).await;
        let width = browser
            .client()
            .execute("return window.innerWidth", Vec::new())
            .await
            .unwrap();

        assert_eq!(browser.text().await, "Good day");
        assert_eq!(width, 360);
    }
}
