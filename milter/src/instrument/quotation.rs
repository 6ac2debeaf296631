// SPDX-License-Identifier: GPL-3.0-or-later
//! What mail programs put in words above what they quote: a rule, or the header lines of the quoted message in the
//! languages that the disclosure speaks.
//!
//! Of header lines author, date and subject are asked for: an author may well write that a train goes from here to there.
//! What is missed costs little, and what is seen where it is not costs as little: see [`super::html`].

/// In how many lines all labels must have occurred.
const LINES: usize = 8;

/// The longest label, in characters, with the blanks and marks around it.
const MAX_LABEL: usize = 30;

const AUTHOR: [&str; 8] = [
    "from",
    "de",
    "von",
    "od",
    "expéditeur",
    "expediteur",
    "absender",
    "nadawca",
];

const DATE: [&str; 11] = [
    "sent",
    "date",
    "envoyé",
    "envoye",
    "envoyé le",
    "gesendet",
    "datum",
    "wysłano",
    "wyslano",
    "wysłane",
    "data",
];

const SUBJECT: [&str; 4] = ["subject", "objet", "betreff", "temat"];

/// What occurs in some form of every label of a subject, for a quick look.
pub(crate) const HINTS: [&[u8]; 8] = [
    b"ubject", b"UBJECT", b"bjet", b"BJET", b"etreff", b"ETREFF", b"emat", b"EMAT",
];

/// Tells whether the first of these lines begins the header lines of a quoted message.
pub(crate) fn begins(lines: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
    let mut lines = lines
        .into_iter()
        .take(LINES)
        .map(|line| label(line.as_ref()));
    let is_one_of = |label: &Option<String>, words: &[&str]| {
        label.as_deref().is_some_and(|label| words.contains(&label))
    };
    if !lines.next().is_some_and(|first| is_one_of(&first, &AUTHOR)) {
        return false;
    }
    let (mut has_date, mut has_subject) = (false, false);
    for label in lines {
        has_date |= is_one_of(&label, &DATE);
        has_subject |= is_one_of(&label, &SUBJECT);
    }
    has_date && has_subject
}

/// Returns what stands before the colon of a line, in lower case, without the marks of emphasis around it.
fn label(line: &str) -> Option<String> {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '*' | '_' | '>');
    let line = line.trim_start_matches(is_around);
    let colon = line.char_indices().take(MAX_LABEL).find(|(_, c)| *c == ':');
    let label = line.get(..colon?.0)?.trim_end_matches(is_around);
    Some(label.to_lowercase())
}

/// Recognises the line that mail programs put above a quoted or forwarded message: words between rules of hyphens, or a
/// rule of underscores.
pub(crate) fn is_rule(line: &[u8]) -> bool {
    if line.len() >= 20 && line.iter().all(|octet| *octet == b'_') {
        return true;
    }
    let is_hyphen = |octet: &&u8| **octet == b'-';
    let head = line.iter().take_while(is_hyphen).count();
    let tail = line.iter().rev().take_while(is_hyphen).count();
    head >= 4 && tail >= 4 && head + tail < line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_are_known_in_every_language_case_and_style() {
        for text in [
            "From: Anna\nSent: Monday\nTo: Jan\nSubject: x",
            "FROM: ANNA\nDATE: MONDAY\nSUBJECT: X",
            "De : Anna\nEnvoyé : lundi\nÀ : Jan\nObjet : x",
            "DE\u{a0}: Anna\nENVOYÉ\u{a0}: lundi\nÀ\u{a0}: Jan\nOBJET\u{a0}: x",
            "De: Anna\nEnvoye: lundi\nA: Jan\nObjet: x",
            "Von: Anna\nGesendet: Montag\nAn: Jan\nCc: x\nBetreff: x",
            "VON: ANNA\nDATUM: MONTAG\nBETREFF: X",
            "Od: Anna\nWysłano: poniedziałek\nDo: Jan\nTemat: x",
            "OD: ANNA\nWYSŁANO: PONIEDZIAŁEK\nDO: JAN\nTEMAT: X",
            "*Od:* Anna\n*Data:* dziś\n*Temat:* x",
            "Subject: x\nFrom: Anna\nDate: y",
        ] {
            let starts_with_subject = text.starts_with("Subject");
            assert_eq!(begins(text.lines()), !starts_with_subject, "{text}");
        }
    }

    #[test]
    fn other_lines_that_look_alike_are_no_header_lines() {
        for text in [
            "",
            "From: Paris\nTo: London\nDate: Monday",
            "From: Anna",
            "Od: 5\nDo: 7\nTemat: spotkanie",
            "From Anna\nSent: y\nSubject: x",
            "From: a\n1\n2\n3\n4\n5\n6\nDate: y\nSubject: x",
        ] {
            assert!(!begins(text.lines()), "{text}");
        }
    }

    #[test]
    fn every_label_of_a_subject_holds_a_hint() {
        for word in SUBJECT {
            let capital = word.split_at(1).0.to_uppercase() + word.split_at(1).1;
            for form in [word.to_owned(), word.to_uppercase(), capital] {
                let mut hints = HINTS.iter();
                assert!(hints.any(|hint| memchr::memmem::find(form.as_bytes(), hint).is_some()));
            }
        }
    }
}
