// SPDX-License-Identifier: GPL-3.0-or-later
//! Where keys stand in a configuration file, for messages about what they say.

/// Returns the key whose value a place belongs to.
pub(super) fn key_at(text: &str, offset: usize) -> Option<&str> {
    let end = text
        .get(offset..)?
        .find('\n')
        .map_or(text.len(), |end| offset + end);
    let lines = text.get(..end)?.lines().rev();
    lines
        .take_while(|line| !line.trim_start().starts_with('[') || line.contains('='))
        .find_map(key_of)
}

/// Returns where the first `[section]` or `[[section]]` begins; that without a name begins the file.
pub(super) fn section(text: &str, name: &str) -> Option<usize> {
    if name.is_empty() {
        return Some(0);
    }
    starts(text)
        .find(|(_, line)| is_header(line) && line.trim().trim_matches(['[', ']']).trim() == name)
        .map(|(start, _)| start)
}

/// Returns where a key stands in the section that begins at a place.
pub(super) fn place_of(text: &str, section: usize, key: &str) -> Option<usize> {
    starts(text)
        .filter(|(start, _)| *start >= section)
        .enumerate()
        .take_while(|(number, (_, line))| *number == 0 || !is_header(line))
        .find(|(_, (_, line))| key_of(line) == Some(key))
        .map(|(_, (start, _))| start)
}

/// Returns each line with the place where it begins.
fn starts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let here = start;
        start += line.len();
        (here, line)
    })
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[') && !line.contains('=')
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    let is_part = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.');
    (!key.is_empty() && key.bytes().all(is_part)).then_some(key)
}
