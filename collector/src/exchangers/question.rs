// SPDX-License-Identifier: GPL-3.0-or-later
//! One question to a name server, and what its answer says: which host takes a domain's mail (RFC 1035, RFC 5321).
//!
//! Only what is needed for that, over UDP, of a resolver that does the rest. An answer that is cut short, not to the
//! question, or not well formed is none.

const TYPE_MX: u16 = 15;
const CLASS_IN: u16 = 1;
const HEAD: usize = 12;
/// Labels are followed by pointers no more often than this.
const MOST_POINTERS: usize = 16;

/// Writes the question which hosts take a domain's mail; `None` for what is no domain.
pub(super) fn write(id: u16, domain: &str) -> Option<Vec<u8>> {
    let mut question = Vec::with_capacity(HEAD + domain.len() + 6);
    question.extend(id.to_be_bytes());
    // An ordinary query; recursion is desired. One question, no records.
    question.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    if !domain.is_ascii() || domain.len() > 253 {
        return None;
    }
    for label in domain.split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length))?;
        question.push(length);
        question.extend(label.bytes());
    }
    question.push(0);
    question.extend(TYPE_MX.to_be_bytes());
    question.extend(CLASS_IN.to_be_bytes());
    Some(question)
}

/// Tells whether this is an answer to the question, whatever it says.
pub(super) fn is_answer(question: &[u8], answer: &[u8]) -> bool {
    let asked = question.get(HEAD..).unwrap_or_default();
    let echo = answer.get(HEAD..HEAD + asked.len());
    answer.get(..2) == question.get(..2)
        && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
        && number(answer, 4) == Some(1)
        && echo.is_some_and(|echo| echo.eq_ignore_ascii_case(asked))
}

/// Reads the host that is to be asked first off an answer; an empty name where nobody takes mail, or the domain is not
/// there. `None` if that cannot be read off it.
pub(super) fn read(question: &[u8], answer: &[u8]) -> Option<String> {
    const NO_SUCH_NAME: u8 = 3;
    let asked = question.get(HEAD..)?;
    let is_cut_short = answer.get(2)? & 0x02 != 0;
    let code = answer.get(3)? & 0x0F;
    if !is_answer(question, answer) || is_cut_short || (code != 0 && code != NO_SUCH_NAME) {
        return None;
    }
    let mut place = HEAD + asked.len();
    let mut best: Option<(u16, String)> = None;
    for _ in 0..number(answer, 6)? {
        place = skip_name(answer, place)?;
        let kind = number(answer, place)?;
        let length = usize::from(number(answer, place + 8)?);
        let data = place + 10;
        if kind == TYPE_MX {
            let preference = number(answer, data)?;
            if best.as_ref().is_none_or(|(known, _)| preference < *known) {
                best = Some((preference, name(answer, data + 2)?));
            }
        }
        place = data.checked_add(length)?;
    }
    Some(best.map_or_else(String::new, |(_, host)| host))
}

fn number(message: &[u8], place: usize) -> Option<u16> {
    let octets = message.get(place..place.checked_add(2)?)?;
    Some(u16::from_be_bytes(octets.try_into().ok()?))
}

/// Returns the place behind a name.
fn skip_name(message: &[u8], mut place: usize) -> Option<usize> {
    loop {
        match *message.get(place)? {
            0 => return place.checked_add(1),
            length if length < 0x40 => place += 1 + usize::from(length),
            length if length >= 0xC0 => return place.checked_add(2),
            _ => return None,
        }
    }
}

/// Reads a name, following pointers.
fn name(message: &[u8], mut place: usize) -> Option<String> {
    let mut name = String::new();
    let mut pointers = 0;
    loop {
        let length = *message.get(place)?;
        match length {
            0 => return Some(name),
            1..0x40 => {
                let end = place + 1 + usize::from(length);
                let label = std::str::from_utf8(message.get(place + 1..end)?).ok()?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(label);
                place = end;
            }
            0xC0.. => {
                pointers += 1;
                place = usize::from(number(message, place)? & 0x3FFF);
            }
            _ => return None,
        }
        if pointers > MOST_POINTERS || name.len() > 255 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with these records behind the question: the name is a pointer to the question's.
    fn answer(question: &[u8], code: u8, records: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut answer = question.to_vec();
        answer[2] = 0x81;
        answer[3] = 0x80 | code;
        answer[7] = u8::try_from(records.len()).unwrap();
        for (kind, preference, name) in records {
            answer.extend([0xC0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 1, 44]);
            let length = u16::try_from(name.len() + 2).unwrap();
            answer.extend(length.to_be_bytes());
            answer.extend(preference.to_be_bytes());
            answer.extend(*name);
        }
        answer
    }

    #[test]
    fn host_that_is_preferred_is_read_also_where_its_name_is_shortened() {
        let question = write(7, "example.com").unwrap();
        // The last label of both hosts is that of the question.
        let good = b"\x04mxa1\x0apphostedxx\xC0\x14";
        let records: &[(u16, u16, &[u8])] = &[
            (5, 0, b"\x01x\x00"),
            (TYPE_MX, 20, b"\x03two\xC0\x0c"),
            (TYPE_MX, 10, good),
        ];

        let read = read(&question, &answer(&question, 0, records));

        assert_eq!(read.as_deref(), Some("mxa1.pphostedxx.com"));
    }

    #[test]
    fn nobody_and_no_answer_are_told_apart() {
        let question = write(7, "example.com").unwrap();
        let other = write(8, "example.com").unwrap();
        let elsewhere = write(7, "example.org").unwrap();

        assert_eq!(
            read(&question, &answer(&question, 0, &[])).as_deref(),
            Some("")
        );
        assert_eq!(
            read(&question, &answer(&question, 3, &[])).as_deref(),
            Some("")
        );
        assert_eq!(read(&question, &answer(&question, 2, &[])), None);
        assert_eq!(read(&question, &answer(&other, 0, &[])), None);
        assert_eq!(read(&question, &answer(&elsewhere, 0, &[])), None);
        assert_eq!(read(&question, &question), None);
    }

    #[test]
    fn name_that_points_at_itself_is_none() {
        let question = write(7, "example.com").unwrap();
        let place = u8::try_from(question.len() + 14).unwrap();
        let records: &[(u16, u16, &[u8])] = &[(TYPE_MX, 1, &[0xC0, place])];

        assert_eq!(read(&question, &answer(&question, 0, records)), None);
    }

    #[test]
    fn only_domains_are_asked_about() {
        let long = format!("{}.example", "a".repeat(64));
        for domain in ["", ".", "a..b", "zażółć.example", &long, &"a.".repeat(200)] {
            assert_eq!(write(1, domain), None, "{domain}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(octets: Vec<u8>, cut in 0..200_usize, place in 0..200_usize, octet: u8) {
            let question = write(7, "example.com").unwrap();
            let mut crafted = answer(&question, 0, &[(TYPE_MX, 10, b"\x02mx\xC0\x0c")]);
            let _any = read(&question, &octets);
            if let Some(known) = crafted.get_mut(place) {
                *known = octet;
            }
            crafted.truncate(cut);
            let _any = read(&question, &crafted);
        }
    }
}
