// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages as mail programs write them. A test says what it is about; the rest is filled in.

use base64::{Engine, engine::general_purpose::STANDARD};

/// A message in the making.
#[derive(Clone, Debug)]
pub struct Message {
    fields: Vec<(String, String)>,
    text: Option<String>,
    html: Option<String>,
    attachment: Option<Vec<u8>>,
    encoding: Encoding,
}

/// How the displayed parts are carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    Base64,
    EightBit,
    QuotedPrintable,
}

/// A page with a link, a picture and letters beyond ASCII.
pub const HTML: &str = "<html><head><title>Offer</title></head>\r\n<body>\r\n<p>Dzień dobry, here is our \
    <a href=\"https://shop.example.org/offer?id=7&amp;lang=pl\">offer for you</a>.</p>\r\n\
    <p>Zażółć gęślą jaźń.</p>\r\n</body></html>\r\n";

/// The same for those who read text.
pub const TEXT: &str = "Dzień dobry, here is our offer for you:\r\nhttps://shop.example.org/offer?id=7&lang=pl\r\n\
    \r\nZażółć gęślą jaźń.\r\n";

impl Message {
    /// Begins a message with a text part, an HTML part and every usual header field.
    pub fn new(from: &str, to: &str) -> Self {
        let fields = [
            ("From", from),
            ("To", to),
            ("Date", "Tue, 24 Nov 2026 12:00:00 +0000"),
            ("Message-ID", "<20261124120000.1@example.com>"),
            ("Subject", "Our offer"),
            ("MIME-Version", "1.0"),
        ];
        Self {
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            text: Some(TEXT.to_owned()),
            html: Some(HTML.to_owned()),
            attachment: None,
            encoding: Encoding::QuotedPrintable,
        }
    }

    /// Sets a header field, or adds it.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        let known = self
            .fields
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match known {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Sets the HTML part.
    #[must_use]
    pub fn html(mut self, html: &str) -> Self {
        self.html = Some(html.to_owned());
        self
    }

    /// Leaves the HTML part out.
    #[must_use]
    pub fn without_html(mut self) -> Self {
        self.html = None;
        self
    }

    /// Sets the text part.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Leaves the text part out.
    #[must_use]
    pub fn without_text(mut self) -> Self {
        self.text = None;
        self
    }

    /// Attaches a file.
    #[must_use]
    pub fn attachment(mut self, contents: &[u8]) -> Self {
        self.attachment = Some(contents.to_vec());
        self
    }

    /// Sets how the displayed parts are carried.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Writes the message, lines ended by CR LF.
    pub fn build(&self) -> Vec<u8> {
        let mut message = String::new();
        for (name, value) in &self.fields {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        let displayed = match (&self.text, &self.html) {
            (Some(text), Some(html)) => {
                let parts = [self.part("plain", text), self.part("html", html)];
                multipart("alternative", &parts)
            }
            (Some(text), None) => self.part("plain", text),
            (None, Some(html)) => self.part("html", html),
            (None, None) => self.part("plain", ""),
        };
        match &self.attachment {
            Some(contents) => {
                message.push_str(&multipart("mixed", &[displayed, attachment(contents)]));
            }
            None => message.push_str(&displayed),
        }
        message.into_bytes()
    }

    fn part(&self, subtype: &str, contents: &str) -> String {
        let (name, body) = match self.encoding {
            Encoding::Base64 => ("base64", base64_lines(contents.as_bytes())),
            Encoding::EightBit => ("8bit", contents.to_owned()),
            Encoding::QuotedPrintable => ("quoted-printable", quoted_printable(contents)),
        };
        format!(
            "Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n{body}"
        )
    }
}

fn multipart(subtype: &str, parts: &[String]) -> String {
    let boundary = format!("=_{subtype}_boundary");
    let mut whole = format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        whole.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    whole.push_str(&format!("--{boundary}--\r\n"));
    whole
}

fn attachment(contents: &[u8]) -> String {
    format!(
        "Content-Type: application/octet-stream; name=\"file.bin\"\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64_lines(contents)
    )
}

fn base64_lines(contents: &[u8]) -> String {
    // 57 octets make a line of 76 characters.
    contents
        .chunks(57)
        .map(|chunk| STANDARD.encode(chunk) + "\r\n")
        .collect()
}

fn quoted_printable(contents: &str) -> String {
    let mut encoded = String::new();
    for line in contents.split_inclusive("\r\n") {
        let (line, end) = line
            .strip_suffix("\r\n")
            .map_or((line, ""), |line| (line, "\r\n"));
        let mut width = 0;
        for (place, octet) in line.bytes().enumerate() {
            let is_last = place + 1 == line.len();
            let is_plain = matches!(octet, b'!'..=b'<' | b'>'..=b'~') || octet == b' ' && !is_last;
            let written = if is_plain {
                char::from(octet).to_string()
            } else {
                format!("={octet:02X}")
            };
            if width + written.len() > 75 {
                encoded.push_str("=\r\n");
                width = 0;
            }
            width += written.len();
            encoded.push_str(&written);
        }
        encoded.push_str(end);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    #[test]
    fn every_encoding_carries_the_same_message() {
        for encoding in [
            Encoding::Base64,
            Encoding::EightBit,
            Encoding::QuotedPrintable,
        ] {
            let message = Message::new("alice@example.com", "bob@recipient.test")
                .encoding(encoding)
                .attachment(&[0; 100])
                .build();

            let parsed = MessageParser::new().parse(&message).unwrap();
            let read =
                |text: Option<std::borrow::Cow<'_, str>>| text.unwrap().replace("\r\n", "\n");

            // The line end before a boundary is the boundary's.
            assert_eq!(
                read(parsed.body_html(0)).trim_end(),
                HTML.replace("\r\n", "\n").trim_end()
            );
            assert_eq!(
                read(parsed.body_text(0)).trim_end(),
                TEXT.replace("\r\n", "\n").trim_end()
            );
            assert_eq!(parsed.attachment_count(), 1);
            assert!(
                message
                    .split(|octet| *octet == b'\n')
                    .all(|line| line.len() < 200)
            );
        }
    }
}
