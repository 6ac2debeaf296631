// SPDX-License-Identifier: GPL-3.0-or-later
//! How mail programs mark quoted text in HTML. Where they only say it in words, see [`super::words`].
//!
//! A mark that is missed costs little: the disclosure stands below the quotation, and links in it are rewritten. A mark
//! that is seen where none is costs as little.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;

use super::super::quotation;

/// How far quoted text reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// To the end of the element.
    Element,
    /// To the end of the message.
    Rest,
}

/// One convention.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) selector: &'static str,
    pub(crate) extent: Extent,
    /// What must occur in the text for this to be worth looking for; looking at every `div` costs. Best begun with
    /// letters that are rare together.
    hint: &'static [u8],
    /// Whether an indented paragraph looks the same.
    may_be_indentation: bool,
}

impl Mark {
    const fn element(selector: &'static str, hint: &'static str) -> Self {
        Self {
            selector,
            extent: Extent::Element,
            hint: hint.as_bytes(),
            may_be_indentation: false,
        }
    }

    const fn rest(selector: &'static str, hint: &'static str) -> Self {
        Self {
            selector,
            extent: Extent::Rest,
            hint: hint.as_bytes(),
            may_be_indentation: false,
        }
    }

    /// Tells whether the text may hold such a mark, given the hints that occur in it.
    pub(crate) fn is_worth_it(&self, hints: Hints) -> bool {
        let number = MARKS
            .iter()
            .position(|mark| std::ptr::eq(mark, self))
            .unwrap_or_default();
        self.hint.is_empty() || hints.0 & (1 << number) != 0
    }

    /// Tells whether an element that the selector found is a quotation.
    pub(crate) fn accepts(&self, attribute: &dyn Fn(&str) -> Option<String>) -> bool {
        // Gmail and others indent paragraphs by a block quotation with a left margin of 40 pixels.
        !self.may_be_indentation
            || attribute("type").is_some()
            || attribute("cite").is_some()
            || !attribute("style").is_some_and(|style| {
                let style = style.replace(' ', "").to_ascii_lowercase();
                style.contains("margin:00040px") || style.contains("margin-left:40px")
            })
    }
}

/// Which hints occur in a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints(u32);

/// The hint that header lines in words may be there.
const WORDS: u32 = 1 << 31;

impl Hints {
    /// Looks for all hints at once.
    pub(crate) fn of(html: &[u8]) -> Self {
        ALL.look(html)
    }

    /// The same for a text in which only paragraphs can be marks: looking for few costs less.
    pub(crate) fn of_paragraphs(html: &[u8]) -> Self {
        OF_PARAGRAPHS.look(html)
    }

    /// Tells whether the header lines of a quoted message may be there, in words.
    pub(crate) fn tell_of_words(self) -> bool {
        self.0 & WORDS != 0
    }
}

/// A search for hints.
struct Search {
    /// `None` where the processor has no instructions for it: then everything may be there.
    searcher: Option<Searcher>,
    /// What each pattern hints at.
    hints: Vec<u32>,
}

impl Search {
    fn new(is_wanted: impl Fn(&Mark) -> bool) -> Self {
        let marks = (0..).zip(MARKS);
        let of_marks = marks
            .filter(|(_, mark)| !mark.hint.is_empty() && is_wanted(mark))
            .map(|(number, mark)| (mark.hint, 1 << number));
        let of_words = quotation::HINTS.into_iter().map(|hint| (hint, WORDS));
        let (patterns, hints): (Vec<&[u8]>, Vec<u32>) = of_marks.chain(of_words).unzip();
        Self {
            searcher: Searcher::new(patterns),
            hints,
        }
    }

    fn look(&self, html: &[u8]) -> Hints {
        let Some(searcher) = &self.searcher else {
            return Hints(u32::MAX);
        };
        let patterns = searcher.find_iter(html).map(|found| found.pattern());
        let hints = patterns.filter_map(|pattern| self.hints.get(pattern.as_usize()));
        Hints(hints.fold(0, |all, hint| all | hint))
    }
}

static ALL: LazyLock<Search> = LazyLock::new(|| Search::new(|_| true));
static OF_PARAGRAPHS: LazyLock<Search> =
    LazyLock::new(|| Search::new(|mark| mark.selector.starts_with("p#")));

/// Every convention known.
pub(crate) static MARKS: &[Mark] = &[
    // Apple Mail, Thunderbird, and most others.
    Mark {
        selector: "blockquote",
        extent: Extent::Element,
        hint: b"",
        may_be_indentation: true,
    },
    // Gmail, Mailspring, Spark.
    Mark::element("div.gmail_quote", "gmail_quote"),
    Mark::element("div.yahoo_quoted", "yahoo_quoted"),
    Mark::element("div.protonmail_quote", "protonmail_quote"),
    Mark::element("div.tutanota_quote", "tutanota_quote"),
    // GMX, WEB.DE.
    Mark::element("div[name=quote]", "=\"quote\""),
    // Thunderbird: the line before a reply; a forwarded message.
    Mark::element("div.moz-cite-prefix", "moz-cite-prefix"),
    Mark::element("div.moz-forward-container", "moz-forward-container"),
    // Roundcube: the line before a reply.
    Mark::element("p#reply-intro", "reply-intro"),
    // Outlook on the web and the new Outlook; Outlook on phones.
    Mark::rest("div#appendonsend", "appendonsend"),
    Mark::rest("div#divRplyFwdMsg", "divRplyFwdMsg"),
    Mark::rest(
        "div#mail-editor-reference-message-container",
        "mail-editor-reference",
    ),
    Mark::rest(
        "div.ms-outlook-mobile-reference-message",
        "ms-outlook-mobile-reference",
    ),
    // Outlook for Windows and Mac: a rule above the header lines of the quoted message.
    Mark::rest("div[style*='border:none;border-top:solid']", "op:solid"),
    // Zimbra.
    Mark::rest("hr#zwchr", "zwchr"),
];
