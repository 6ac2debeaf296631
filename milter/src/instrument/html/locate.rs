// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds places in HTML. lol_html does the parsing and nothing else: no byte of its output is used.
//!
//! What stands in comments, scripts, style sheets, titles and the like is not seen, and so never touched. Memory and
//! time are bounded; a text that cannot be read within the bounds yields nothing.

use std::{borrow::Cow, cell::RefCell, ops::Range, rc::Rc};

use encoding_rs::Encoding;
use lol_html::{
    AsciiCompatibleEncoding, DocumentContentHandlers, ElementContentHandlers, HandlerResult,
    HtmlRewriter, MemorySettings, Selector, Settings,
    html_content::{Attribute, Element, EndTag, TextChunk},
};

use super::{opt_out, quotes};

/// What the parser may hold at once, in octets.
const MAX_MEMORY: usize = 32 << 20;
/// Follows the text: if the parser sees it as an element, the text does not end in the midst of something.
const SENTINEL: &str = "fairtrack-end";
const SENTINEL_TAG: &[u8] = b"<fairtrack-end>";

/// An `a` or `area` element with a destination.
#[derive(Debug)]
pub(crate) struct Anchor {
    /// Where the value of its first `href` stands.
    pub(crate) href: Range<usize>,
    /// That value in Unicode, entities and all.
    pub(crate) raw: String,
    /// Where its start tag ends.
    pub(crate) inside: usize,
    /// Attributes that ask for the link to be left alone, and what is left when they are taken out.
    pub(crate) opt_outs: Vec<(Range<usize>, String)>,
    /// Whether it stands in quoted text.
    pub(crate) is_quoted: bool,
    /// Whether it is ordinary content: of HTML, and not in a template or the like.
    pub(crate) is_content: bool,
}

/// An element found by name, with its end if it has an end tag.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where its start tag stands.
    pub(crate) start: Range<usize>,
    /// Where its end tag stands.
    pub(crate) end: Option<Range<usize>>,
    /// The values of `src` and `href`, where there is one, in Unicode, entities and all.
    pub(crate) address: Option<(Range<usize>, String)>,
    /// Whether it bears the mark of a disclosure.
    pub(crate) is_disclosure: bool,
    pub(crate) kind: BlockKind,
}

/// What a [`Block`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BlockKind {
    Anchor,
    /// A `div`, `p`, `td` or the like.
    Container,
    Image,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Located {
    pub(crate) anchors: Vec<Anchor>,
    /// Where quoted text begins.
    pub(crate) quote: Option<usize>,
    /// Where the last end tag of `body` stands.
    pub(crate) body_end: Option<usize>,
    /// Whether something may be put at the end of the text.
    pub(crate) is_open_ended: bool,
    /// Images, and with [`Wish::Artefacts`] all that may be or hold an artefact.
    pub(crate) blocks: Vec<Block>,
    /// Stretches of character data, with [`Wish::Artefacts`].
    pub(crate) texts: Vec<Range<usize>>,
    /// Whether there is a picture or visible text, with [`Wish::Content`].
    pub(crate) has_content: bool,
}

/// What is looked for beside links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Own artefacts, wherever they may be.
    Artefacts,
    /// Images and disclosures, to check a result.
    Check,
    /// Whether there is anything to see.
    Content,
    /// Where quoted text begins.
    Edit,
}

#[derive(Default)]
struct State {
    found: Located,
    /// Open elements in which nothing may be put: templates, drawings, lists of options.
    closed_ground: u32,
    /// Open quotations.
    quotes: u32,
    /// A mark has been passed after which everything is quoted.
    only_quoted: bool,
}

type Shared = Rc<RefCell<State>>;

/// Looks through a text.
///
/// Returns `None` if it cannot be read within the bounds, or the charset is one in which markup is not ASCII.
pub(crate) fn locate(html: &[u8], encoding: &'static Encoding, wish: Wish) -> Option<Located> {
    let encoding = AsciiCompatibleEncoding::new(encoding)?;
    SELECTORS.with(|selectors| run(html, encoding, wish, selectors))
}

fn run(
    html: &[u8],
    encoding: AsciiCompatibleEncoding,
    wish: Wish,
    selectors: &[(Selector, Role)],
) -> Option<Located> {
    let state = Shared::default();
    let mut settings = Settings::new()
        .with_encoding(encoding)
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MAX_MEMORY));
    let hints = match wish {
        Wish::Edit => quotes::Hints::of(html),
        Wish::Artefacts | Wish::Check | Wish::Content => quotes::Hints::default(),
    };
    for (selector, role) in selectors {
        if role.serves(wish, hints) {
            let handlers = role.handlers(wish, &state, html);
            settings = settings.append_element_content_handler((Cow::Borrowed(selector), handlers));
        }
    }
    if matches!(wish, Wish::Artefacts | Wish::Content) {
        let texts = Rc::clone(&state);
        settings = settings.append_document_content_handler(
            DocumentContentHandlers::default()
                .text(move |chunk: &mut TextChunk<'_>| on_text(&texts, wish, chunk)),
        );
    }
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let is_read = rewriter.write(html).is_ok()
        && rewriter.write(SENTINEL_TAG).is_ok()
        && rewriter.end().is_ok();
    let found = std::mem::take(&mut state.borrow_mut().found);
    // When asked about content only, the first sight of it ends the reading.
    (is_read || (wish == Wish::Content && found.has_content)).then_some(found)
}

thread_local! {
    static SELECTORS: Vec<(Selector, Role)> = roles()
        .filter_map(|(css, role)| Some((css.parse().ok()?, role)))
        .collect();
}

fn roles() -> impl Iterator<Item = (&'static str, Role)> {
    let fixed = [
        ("a[href]", Role::Anchor),
        ("area[href]", Role::Anchor),
        ("body", Role::Body),
        (SENTINEL, Role::End),
        ("template", Role::ClosedGround),
        ("svg", Role::ClosedGround),
        ("math", Role::ClosedGround),
        ("select", Role::ClosedGround),
        ("object", Role::ClosedGround),
        ("frameset", Role::ClosedGround),
        ("img", Role::Image),
        ("div", Role::Container),
        ("p", Role::Container),
        ("td", Role::Container),
        ("span", Role::Container),
        ("div[data-tracking]", Role::Disclosure),
    ];
    fixed.into_iter().chain(
        quotes::MARKS
            .iter()
            .map(|mark| (mark.selector, Role::Quote(mark))),
    )
}

#[derive(Clone, Copy)]
enum Role {
    Anchor,
    Body,
    ClosedGround,
    Container,
    Disclosure,
    End,
    Image,
    Quote(&'static quotes::Mark),
}

impl Role {
    fn serves(self, wish: Wish, hints: quotes::Hints) -> bool {
        match self {
            Self::Anchor => wish != Wish::Content,
            Self::Body | Self::ClosedGround => wish == Wish::Edit,
            Self::End => true,
            Self::Quote(mark) => wish == Wish::Edit && mark.is_worth_it(hints),
            Self::Image => wish != Wish::Edit,
            Self::Container => wish == Wish::Artefacts,
            Self::Disclosure => wish == Wish::Check,
        }
    }

    fn handlers<'h>(
        self,
        wish: Wish,
        state: &Shared,
        html: &'h [u8],
    ) -> ElementContentHandlers<'h> {
        let handlers = ElementContentHandlers::default();
        let state = Rc::clone(state);
        match self {
            Self::Anchor => handlers.element(move |element: &mut Element<'_, '_>| {
                on_anchor(&state, html, wish, element)
            }),
            Self::Body => handlers.element(move |element: &mut Element<'_, '_>| {
                let state = Rc::clone(&state);
                on_end(element, move |end| {
                    let mut state = state.borrow_mut();
                    if state.closed_ground == 0 {
                        state.found.body_end = Some(end.start);
                    }
                })
            }),
            Self::ClosedGround => handlers.element(move |element: &mut Element<'_, '_>| {
                if !element.can_have_content() {
                    return Ok(());
                }
                state.borrow_mut().closed_ground += 1;
                if element.tag_name() == "frameset" {
                    // In a page of frames there is no body, and nothing put anywhere is shown.
                    return Ok(());
                }
                let state = Rc::clone(&state);
                on_end(element, move |_| {
                    let mut state = state.borrow_mut();
                    state.closed_ground = state.closed_ground.saturating_sub(1);
                })
            }),
            Self::Container | Self::Disclosure => {
                handlers.element(move |element: &mut Element<'_, '_>| {
                    on_block(&state, element, BlockKind::Container)
                })
            }
            Self::End => handlers.element(move |element: &mut Element<'_, '_>| {
                let mut state = state.borrow_mut();
                state.found.is_open_ended = element.source_location().bytes().start == html.len()
                    && state.closed_ground == 0;
                Ok(())
            }),
            Self::Image => handlers.element(move |element: &mut Element<'_, '_>| {
                state.borrow_mut().found.has_content = true;
                on_block(&state, element, BlockKind::Image)
            }),
            Self::Quote(mark) => handlers
                .element(move |element: &mut Element<'_, '_>| on_quote(&state, element, mark)),
        }
    }
}

fn on_anchor(
    shared: &Shared,
    html: &[u8],
    wish: Wish,
    element: &mut Element<'_, '_>,
) -> HandlerResult {
    let mut href: Option<(Range<usize>, String)> = None;
    let mut opt_outs = Vec::new();
    for attribute in element.attributes() {
        let Some(name) = attribute.name_source_location() else {
            continue;
        };
        let written = html.get(name.bytes()).unwrap_or_default();
        if href.is_none() && written.eq_ignore_ascii_case(b"href") {
            let place = attribute.value_source_location();
            // Of a doubled attribute the first counts, even if it is empty.
            let place = place.unwrap_or_else(|| name.clone()).bytes();
            href = Some((place, attribute.value()));
        } else if wish == Wish::Edit && opt_out::may_be(written) {
            opt_outs.extend(opt_out_of(html, attribute));
        }
    }
    let Some((href, raw)) = href else {
        return Ok(());
    };
    let mut state = shared.borrow_mut();
    let is_content = state.closed_ground == 0 && element.namespace_uri() == HTML;
    let is_quoted = state.only_quoted || state.quotes > 0;
    let address = (wish == Wish::Artefacts).then(|| (href.clone(), raw.clone()));
    state.found.anchors.push(Anchor {
        href,
        raw,
        inside: element.source_location().bytes().end,
        opt_outs,
        is_quoted,
        is_content,
    });
    drop(state);
    if address.is_some() {
        return add_block(shared, element, BlockKind::Anchor, address);
    }
    Ok(())
}

const HTML: &str = "http://www.w3.org/1999/xhtml";

fn opt_out_of(html: &[u8], attribute: &Attribute<'_>) -> Option<(Range<usize>, String)> {
    let name = attribute.name_source_location()?.bytes();
    let value = attribute.value_source_location().map(|place| place.bytes());
    let written = html.get(name.clone())?;
    let text = attribute.value();
    match opt_out::judge(written, &text) {
        opt_out::Verdict::No => None,
        opt_out::Verdict::Attribute => {
            let before = html.get(..name.start)?;
            let start = before.trim_ascii_end().len();
            let end = match value {
                None => name.end,
                Some(value) => match html.get(value.end) {
                    Some(b'"' | b'\'') => value.end + 1,
                    _ => value.end,
                },
            };
            Some((start..end, String::new()))
        }
        opt_out::Verdict::Value(rest) => Some((value?, rest)),
    }
}

fn on_text(state: &Shared, wish: Wish, chunk: &TextChunk<'_>) -> HandlerResult {
    let mut state = state.borrow_mut();
    if chunk.text_type() == lol_html::html_content::TextType::Data {
        let place = chunk.source_location().bytes();
        let text = chunk.as_str();
        if !state.found.has_content {
            let text = htmlize::unescape(text);
            state.found.has_content = text
                .chars()
                .any(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(c));
        }
        match state.found.texts.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            Some(last) if last.end > place.start => {}
            _ => state.found.texts.push(place),
        }
        if wish == Wish::Content && state.found.has_content {
            return Err("seen enough".into());
        }
    }
    Ok(())
}

/// Tells whether a character is nothing to see: zero-width spaces and joiners, soft hyphens, byte-order marks.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

fn on_block(state: &Shared, element: &mut Element<'_, '_>, kind: BlockKind) -> HandlerResult {
    let address = element.attributes().iter().find_map(|attribute| {
        let name = attribute.name();
        (name == "src").then(|| {
            let place = attribute.value_source_location();
            place.map(|place| (place.bytes(), attribute.value()))
        })
    });
    add_block(state, element, kind, address.flatten())
}

fn add_block(
    state: &Shared,
    element: &mut Element<'_, '_>,
    kind: BlockKind,
    address: Option<(Range<usize>, String)>,
) -> HandlerResult {
    let is_disclosure = kind == BlockKind::Container
        && element.get_attribute("data-tracking").as_deref() == Some("disclosure");
    let number = {
        let mut state = state.borrow_mut();
        state.found.blocks.push(Block {
            start: element.source_location().bytes(),
            end: None,
            address,
            is_disclosure,
            kind,
        });
        state.found.blocks.len() - 1
    };
    if kind == BlockKind::Image {
        return Ok(());
    }
    let state = Rc::clone(state);
    on_end(element, move |end| {
        if let Some(block) = state.borrow_mut().found.blocks.get_mut(number) {
            block.end = Some(end);
        }
    })
}

fn on_quote(
    state: &Shared,
    element: &mut Element<'_, '_>,
    mark: &'static quotes::Mark,
) -> HandlerResult {
    if !mark.accepts(&|name| element.get_attribute(name)) {
        return Ok(());
    }
    {
        let mut state = state.borrow_mut();
        if state.found.quote.is_none() && state.closed_ground == 0 {
            state.found.quote = Some(element.source_location().bytes().start);
        }
        if mark.extent == quotes::Extent::Rest {
            state.only_quoted = true;
            return Ok(());
        }
        state.quotes += 1;
    }
    let state = Rc::clone(state);
    on_end(element, move |_| {
        let mut state = state.borrow_mut();
        state.quotes = state.quotes.saturating_sub(1);
    })
}

/// Does something at the end tag of an element, if it has one of its own: lol_html reports the end tag of an outer
/// element for those that it closes by the way.
fn on_end(
    element: &mut Element<'_, '_>,
    act: impl FnOnce(Range<usize>) + 'static,
) -> HandlerResult {
    let name = element.tag_name();
    if let Some(handlers) = element.end_tag_handlers() {
        handlers.push(Box::new(move |end: &mut EndTag<'_>| {
            if end.name() == name {
                act(end.source_location().bytes());
            }
            Ok(())
        }));
    }
    Ok(())
}
