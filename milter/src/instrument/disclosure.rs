// SPDX-License-Identifier: GPL-3.0-or-later
//! The line that tells recipients what a message reports to its sender, and where to stop it.
//!
//! It names only what is active in the message, is visible, and goes with every edited part.

use std::{collections::HashSet, fmt::Write};

use common::{config::ConsentRule, language::Language};
use encoding_rs::Encoding;

/// What a message reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Purposes {
    pub(crate) opens: bool,
    pub(crate) links: bool,
}

/// The disclosure of one message.
#[derive(Clone, Debug)]
pub(crate) struct Disclosure<'a> {
    pub(crate) language: Language,
    pub(crate) purposes: Purposes,
    pub(crate) consent: ConsentRule,
    /// The recipient's page.
    pub(crate) choices: &'a str,
}

/// What stands in the first line of the HTML block: little, so that a line may be long before it.
pub(crate) const FIRST_LINE: usize = "<div".len();

/// Where a plain-text paragraph is wrapped.
const WIDTH: usize = 72;

impl Purposes {
    /// Returns the names, as the `Tracking-Consent` field lists them.
    pub(crate) fn names(self) -> &'static str {
        match (self.opens, self.links) {
            (true, true) => "open click",
            (true, false) => "open",
            (false, _) => "click",
        }
    }
}

impl Disclosure<'_> {
    /// Builds the HTML block, in ASCII whatever the charset, with the pixel in it if one is given.
    pub(crate) fn html(&self, pixel: Option<&str>, line_end: &str) -> String {
        let (sentence, invitation) = self.words();
        let mut block = String::with_capacity(700);
        for piece in [
            "<div",
            line_end,
            "data-tracking=\"disclosure\" lang=\"",
            self.language.code(),
            "\" dir=\"ltr\"",
            line_end,
            "style=\"clear:both;margin:16px 0;padding:6px 0;border-top:1px solid #cccccc;",
            "font:12px/16px sans-serif;text-align:left;color:#595959\">",
        ] {
            block.push_str(piece);
        }
        escape_into(&mut block, &sentence);
        // The line end parts the words. A blank before it would not survive every way that mail takes.
        block.push_str(line_end);
        block.push_str("<a href=\"");
        block.push_str(self.choices);
        block.push_str("\" style=\"color:#595959\">");
        escape_into(&mut block, invitation);
        block.push_str("</a>");
        if let Some(pixel) = pixel {
            block.push_str(line_end);
            block.push_str("<img src=\"");
            block.push_str(pixel);
            block.push_str("\" width=\"1\" height=\"1\" alt=\"\"");
            block.push_str(line_end);
            block.push_str("style=\"border:0;width:1px;height:1px\">");
        }
        block.push_str("</div>");
        block
    }

    /// Builds the plain-text paragraph, its lines wrapped and without an end to the last; in the language's own
    /// letters if `charset` has them, else in ASCII.
    pub(crate) fn plain(&self, charset: Option<&'static Encoding>, line_end: &str) -> Vec<u8> {
        let (sentence, invitation) = self.words();
        let mut text = String::new();
        let mut column = 0;
        for word in sentence.split(' ').chain(invitation.split(' ')) {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                text.push_str(line_end);
                column = 0;
            } else if column > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += length;
        }
        text.push(':');
        text.push_str(line_end);
        text.push_str(self.choices);
        if let Some(charset) = charset {
            let (octets, _, has_unmappable) = charset.encode(&text);
            if !has_unmappable {
                return octets.into_owned();
            }
        }
        to_ascii(&text, self.language).into_bytes()
    }

    fn words(&self) -> (String, &'static str) {
        if !self.purposes.opens && !self.purposes.links {
            let (sentence, invitation) = self.invitation();
            return (sentence.to_owned(), invitation);
        }
        let both = self.purposes.opens && self.purposes.links;
        let pick = |opens, links, either| match self.purposes {
            _ if both => either,
            Purposes { opens: true, .. } => opens,
            Purposes { opens: false, .. } => links,
        };
        let is_agreed = self.consent == ConsentRule::Required;
        match self.language {
            Language::En => {
                let what = pick(
                    "its images load",
                    "its links are followed",
                    "its images load and links are followed",
                );
                let why = if is_agreed {
                    ", because you agreed"
                } else {
                    ""
                };
                (
                    format!("This message reports to the sender when {what}{why}."),
                    "Stop or change",
                )
            }
            Language::Pl => {
                let what = pick(
                    "wczytaniu obrazów",
                    "otwarciu łączy",
                    "wczytaniu obrazów i otwarciu łączy",
                );
                let start = if is_agreed {
                    "Za Twoją zgodą ta"
                } else {
                    "Ta"
                };
                (
                    format!("{start} wiadomość informuje nadawcę o {what}."),
                    "Wyłącz lub zmień",
                )
            }
            Language::De => {
                let what = pick(
                    "Bilder geladen werden",
                    "Links aufgerufen werden",
                    "Bilder geladen und Links aufgerufen werden",
                );
                let start = if is_agreed {
                    "Mit Ihrer Einwilligung meldet diese Nachricht"
                } else {
                    "Diese Nachricht meldet"
                };
                (
                    format!("{start} dem Absender, wenn {what}."),
                    "Beenden oder ändern",
                )
            }
            Language::Fr => {
                let what = pick(
                    "le chargement des images",
                    "l'ouverture des liens",
                    "le chargement des images et l'ouverture des liens",
                );
                let start = if is_agreed {
                    "Avec votre accord, ce message"
                } else {
                    "Ce message"
                };
                (
                    format!("{start} signale à l'expéditeur {what}."),
                    "Arrêter ou modifier",
                )
            }
        }
    }
}

impl Disclosure<'_> {
    /// Returns what a message says that reports nothing, to somebody who was never asked.
    fn invitation(&self) -> (&'static str, &'static str) {
        match self.language {
            Language::En => (
                "Nothing is recorded about this message. May the sender see when images load and links are followed?",
                "Choose",
            ),
            Language::Pl => (
                "W tej wiadomości niczego się nie rejestruje. Czy nadawca może widzieć, kiedy wczytano obrazy i otwarto łącza?",
                "Wybierz",
            ),
            Language::De => (
                "Zu dieser Nachricht wird nichts aufgezeichnet. Darf der Absender sehen, wann Bilder geladen und Links aufgerufen werden?",
                "Wählen",
            ),
            Language::Fr => (
                "Rien n'est enregistré au sujet de ce message. L'expéditeur peut-il savoir quand les images sont chargées et les liens ouverts ?",
                "Choisir",
            ),
        }
    }
}

/// The words of every disclosure that may stand in a message, in the language's own letters and in ASCII: to recognise
/// them in quoted text.
pub(crate) struct KnownWords {
    /// Sentence and words of the link, as one line.
    lines: HashSet<String>,
    /// The words of the link alone.
    invitations: HashSet<String>,
}

/// No known line has so many octets.
pub(crate) const LONGEST_KNOWN_LINE: usize = 240;

impl KnownWords {
    /// Returns the words of all languages.
    pub(crate) fn of_all_languages() -> Self {
        let mut known = Self {
            lines: HashSet::new(),
            invitations: HashSet::new(),
        };
        for language in Language::ALL {
            for (opens, links) in [(true, true), (true, false), (false, true), (false, false)] {
                for consent in [ConsentRule::Required, ConsentRule::NotRequired] {
                    let disclosure = Disclosure {
                        language,
                        purposes: Purposes { opens, links },
                        consent,
                        choices: "",
                    };
                    let (sentence, invitation) = disclosure.words();
                    let line = format!("{sentence} {invitation}");
                    known.lines.insert(to_ascii(&line, language));
                    known.lines.insert(line);
                    known.invitations.insert(to_ascii(invitation, language));
                    known.invitations.insert(invitation.to_owned());
                }
            }
        }
        known
    }

    /// Tells whether a line, without breaks and doubled blanks, is a disclosure.
    pub(crate) fn is_line(&self, line: &str) -> bool {
        self.lines.contains(line)
    }

    /// Tells whether it is what the link of a disclosure says.
    pub(crate) fn is_invitation(&self, line: &str) -> bool {
        self.invitations.contains(line)
    }
}

/// Writes text as HTML in ASCII.
fn escape_into(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            c if c.is_ascii() => html.push(c),
            c => {
                // Writing to a String cannot fail.
                let _infallible = write!(html, "&#{};", u32::from(c));
            }
        }
    }
}

/// Writes what ASCII cannot say with the letters that readers of the language expect in its place.
fn to_ascii(text: &str, language: Language) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        let in_place = match c {
            c if c.is_ascii() => {
                ascii.push(c);
                continue;
            }
            'ä' if language == Language::De => "ae",
            'ö' if language == Language::De => "oe",
            'ü' if language == Language::De => "ue",
            'ß' => "ss",
            'ą' | 'à' | 'â' => "a",
            'ć' | 'ç' => "c",
            'ę' | 'é' | 'è' | 'ê' => "e",
            'ł' => "l",
            'ń' => "n",
            'ó' | 'ô' => "o",
            'ś' => "s",
            'ź' | 'ż' => "z",
            'î' => "i",
            'ù' | 'û' => "u",
            _ => "?",
        };
        ascii.push_str(in_place);
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disclosure(language: Language, opens: bool, links: bool) -> Disclosure<'static> {
        Disclosure {
            language,
            purposes: Purposes { opens, links },
            consent: ConsentRule::Required,
            choices: "https://track.example/c/token",
        }
    }

    #[test]
    fn only_active_purposes_are_named() {
        for language in Language::ALL {
            let opens = disclosure(language, true, false).words().0;
            let links = disclosure(language, false, true).words().0;
            let both = disclosure(language, true, true).words().0;

            assert!(opens != links && both.len() > opens.len() && both.len() > links.len());
        }
        let html = disclosure(Language::En, false, true).html(None, "\r\n");
        assert!(html.contains("links") && !html.contains("images") && !html.contains("<img"));
    }

    #[test]
    fn agreement_is_claimed_only_where_it_is_asked_for() {
        for language in Language::ALL {
            let mut disclosure = disclosure(language, true, true);
            let agreed = disclosure.words().0;
            disclosure.consent = ConsentRule::NotRequired;

            assert_ne!(disclosure.words().0, agreed);
        }
    }

    #[test]
    fn html_is_ascii_and_holds_no_second_div() {
        for language in Language::ALL {
            let html =
                disclosure(language, true, true).html(Some("https://t.example/o/x.gif"), "\n");

            assert!(
                html.is_ascii() && html.matches("<div").count() == 1,
                "{html}"
            );
            assert_eq!(html.lines().next().map(str::len), Some(FIRST_LINE));
        }
    }

    #[test]
    fn no_line_ends_in_a_blank() {
        for language in Language::ALL {
            for (opens, links) in [(true, true), (true, false), (false, true), (false, false)] {
                let disclosure = disclosure(language, opens, links);
                let html = disclosure.html(Some("https://t.example/o/x.gif"), "\r\n");
                let plain = String::from_utf8(disclosure.plain(None, "\r\n")).unwrap();

                for line in html.lines().chain(plain.lines()) {
                    assert!(!line.is_empty() && line.trim_end() == line, "{line:?}");
                }
            }
        }
    }

    #[test]
    fn plain_text_falls_back_to_ascii() {
        let disclosure = disclosure(Language::Pl, true, true);

        let utf8 = disclosure.plain(Some(encoding_rs::UTF_8), "\n");
        let latin2 = disclosure.plain(Some(encoding_rs::ISO_8859_2), "\n");
        let latin1 = disclosure.plain(Some(encoding_rs::WINDOWS_1252), "\n");

        assert!(String::from_utf8(utf8).unwrap().contains("wiadomość"));
        assert!(latin2.contains(&0xb6));
        let latin1 = String::from_utf8(latin1).unwrap();
        assert!(latin1.is_ascii() && latin1.contains("wiadomosc") && !latin1.contains('?'));
        assert!(latin1.lines().all(|line| line.len() <= WIDTH + 20));
    }
}
