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

use super::{hidden, opt_out, quotes, tag};

/// What the parser may hold at once, in octets.
const MAX_MEMORY: usize = 32 << 20;
/// Follows the text: if the parser sees it as an element, the text does not end in the midst of something. An `a`, as
/// every further name that is looked for costs at every tag.
const SENTINEL: &[u8] = b"<a fairtrack-end>";

/// An `a` or `area` element with a destination. Kept small: a message may hold very many.
#[derive(Debug)]
pub(crate) struct Anchor {
    /// The value of its first `href`.
    pub(crate) href: Value,
    /// Where its start tag ends.
    pub(crate) inside: usize,
    rare: Option<Box<Rare>>,
    /// Whether it stands in quoted text.
    pub(crate) is_quoted: bool,
    /// Whether it is ordinary content: of HTML, and not in a template or the like.
    pub(crate) is_content: bool,
}

impl Anchor {
    /// Returns attributes that ask for the link to be left alone, and what is left when they are taken out.
    pub(crate) fn opt_outs(&self) -> &[(Range<usize>, String)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.opt_outs)
    }

    /// Returns where the `alt` of an `area` stands, which the reader sees in place of content.
    pub(crate) fn label(&self) -> Option<Range<usize>> {
        self.rare.as_ref()?.label.clone()
    }
}

/// What only few links have.
#[derive(Debug)]
struct Rare {
    label: Option<Range<usize>>,
    opt_outs: Vec<(Range<usize>, String)>,
}

/// Finds the `alt` of an `area`, given its start tag.
fn label_of(html: &[u8], place: &Range<usize>) -> Option<Range<usize>> {
    let tag = html.get(place.clone())?;
    if !tag::is_named(tag, "area") {
        return None;
    }
    let mut alts = tag::attributes(tag).into_iter().filter(|attribute| {
        let name = tag.get(attribute.name.clone()).unwrap_or_default();
        name.eq_ignore_ascii_case(b"alt")
    });
    let alt = alts.next().map_or(0..0, |alt| alt.value);
    Some(place.start + alt.start..place.start + alt.end)
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) place: Range<usize>,
    /// In Unicode; `None` where that is what stands there.
    decoded: Option<Box<str>>,
}

impl Value {
    fn of(attribute: &Attribute<'_>, place: Range<usize>, html: &[u8]) -> Self {
        let is_plain = html.get(place.clone()).is_some_and(<[u8]>::is_ascii);
        Self {
            place,
            decoded: (!is_plain).then(|| attribute.value().into()),
        }
    }

    /// Returns the value in Unicode, entities and all; `html` is the text that it was found in.
    pub(crate) fn raw<'a>(&'a self, html: &'a [u8]) -> &'a str {
        match &self.decoded {
            Some(decoded) => decoded,
            None => {
                let plain = html.get(self.place.clone()).map(std::str::from_utf8);
                plain.and_then(Result::ok).unwrap_or_default()
            }
        }
    }
}

/// An element found by name, with its end if it has an end tag.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where its start tag stands.
    pub(crate) start: Range<usize>,
    /// Where its end tag stands.
    pub(crate) end: Option<Range<usize>>,
    /// The value of `src` or `href`, where there is one.
    pub(crate) address: Option<Value>,
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
    /// Where elements begin that hide all that stands in them, with [`Wish::Edit`].
    pub(crate) hiding: Vec<usize>,
    /// Images, and with [`Wish::Artefacts`] all that may be or hold an artefact.
    pub(crate) blocks: Vec<Block>,
    /// Stretches of character data, with [`Wish::Artefacts`] and [`Wish::Words`].
    pub(crate) texts: Vec<Range<usize>>,
    /// Whether there is a picture or visible text, with [`Wish::Content`].
    pub(crate) has_content: bool,
    /// Whether there may be a `noscript`.
    pub(crate) may_hold_noscript: bool,
    /// Whether quoted text may be told in words, with [`Wish::Edit`].
    pub(crate) may_quote_in_words: bool,
}

impl Located {
    /// Takes it that everything from a place on is quoted.
    pub(crate) fn quote_from(&mut self, place: usize) {
        self.quote = Some(self.quote.map_or(place, |quote| quote.min(place)));
        for anchor in &mut self.anchors {
            anchor.is_quoted |= anchor.href.place.start > place;
        }
    }
}

/// What is looked for beside links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Own artefacts, wherever they may be.
    Artefacts,
    /// Whether there is anything to see.
    Content,
    /// Where quoted text begins.
    Edit,
    /// Text in which something may be put.
    Words,
}

#[derive(Default)]
struct State {
    found: Located,
    /// Open elements in which nothing may be put: templates, drawings, lists of options, what is folded up.
    closed_ground: u32,
    /// Open quotations.
    quotes: u32,
    /// A mark has been passed after which everything is quoted.
    only_quoted: bool,
}

impl State {
    fn hide_from(&mut self, start: usize) {
        if self.found.hiding.last() != Some(&start) {
            self.found.hiding.push(start);
        }
    }
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
    selectors: &[(Selector, &'static str, Role)],
) -> Option<Located> {
    let state = Shared::default();
    let mut settings = Settings::new()
        .with_encoding(encoding)
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MAX_MEMORY));
    let names = Names::of(html);
    // Exactly, for what messages usually are: a list that grows takes twice its room.
    let anchors = names.anchors.min(html.len() / 64);
    state.borrow_mut().found.anchors.reserve_exact(anchors);
    let hints = match wish {
        Wish::Edit if names.may_hold("div") || names.may_hold("hr") => quotes::Hints::of(html),
        Wish::Edit => quotes::Hints::of_paragraphs(html),
        Wish::Artefacts | Wish::Content | Wish::Words => quotes::Hints::default(),
    };
    let may_hide = wish == Wish::Edit && hidden::may_be_in(html);
    for (selector, name, role) in selectors {
        let serves = match role {
            Role::Hidden => may_hide,
            role => names.may_hold(name) && role.serves(wish, hints),
        };
        if serves {
            let handlers = role.handlers(wish, &state, html);
            settings = settings.append_element_content_handler((Cow::Borrowed(selector), handlers));
        }
    }
    if matches!(wish, Wish::Artefacts | Wish::Content | Wish::Words) {
        let texts = Rc::clone(&state);
        settings = settings.append_document_content_handler(
            DocumentContentHandlers::default()
                .text(move |chunk: &mut TextChunk<'_>| on_text(&texts, wish, chunk)),
        );
    }
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let is_read =
        rewriter.write(html).is_ok() && rewriter.write(SENTINEL).is_ok() && rewriter.end().is_ok();
    let mut found = std::mem::take(&mut state.borrow_mut().found);
    found.may_hold_noscript = names.may_hold("noscript");
    found.may_quote_in_words = hints.tell_of_words();
    // When asked about content only, the first sight of it ends the reading.
    (is_read || (wish == Wish::Content && found.has_content)).then_some(found)
}

/// Finds the element that hides what would be put at a place: returns where the outermost begins.
///
/// `hiding` says where such elements begin, in their order.
pub(crate) fn hidden_by(
    html: &[u8],
    encoding: &'static Encoding,
    hiding: &[usize],
    place: usize,
) -> Option<usize> {
    let mut reached = 0;
    let mut looks = 0..MOST_LOOKS;
    for start in hiding.iter().take_while(|start| **start < place) {
        if *start < reached {
            // In one that has ended by then.
            continue;
        }
        if looks.next().is_none() {
            return Some(*start);
        }
        match follow(html, encoding, hiding, *start..place) {
            hidden::State::Ended(end) => reached = end,
            hidden::State::Open | hidden::State::Unclear => return Some(*start),
        }
    }
    None
}

/// Each costs a little, and no message that people write hides so much.
const MOST_LOOKS: usize = 500;

/// Follows an element that hides from its start tag up to its end, or as far as `range` goes.
fn follow(
    html: &[u8],
    encoding: &'static Encoding,
    hiding: &[usize],
    range: Range<usize>,
) -> hidden::State {
    let text = html.get(range.clone()).unwrap_or_default();
    let Some(encoding) = AsciiCompatibleEncoding::new(encoding) else {
        return hidden::State::Unclear;
    };
    let shared = Rc::new(RefCell::new(hidden::Hiding::default()));
    let elements = Rc::clone(&shared);
    let handlers =
        ElementContentHandlers::default().element(move |element: &mut Element<'_, '_>| {
            if element.end_tag_handlers().is_none() {
                return Ok(());
            }
            let start = range.start + element.source_location().bytes().start;
            let is_hiding = hiding.binary_search(&start).is_ok();
            let mut state = elements.borrow_mut();
            let number = state.begin(element.tag_name(), is_hiding);
            stop_unless_open(&state)?;
            drop(state);
            let state = Rc::clone(&elements);
            if let Some(handlers) = element.end_tag_handlers() {
                let base = range.start;
                handlers.push(Box::new(move |end: &mut EndTag<'_>| {
                    let mut state = state.borrow_mut();
                    let place = base + end.source_location().bytes().end;
                    state.end(number, &end.name(), place);
                    stop_unless_open(&state)
                }));
            }
            Ok(())
        });
    let Ok(every) = "*".parse::<Selector>() else {
        return hidden::State::Unclear;
    };
    let settings = Settings::new()
        .with_encoding(encoding)
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MAX_MEMORY))
        .append_element_content_handler((Cow::Borrowed(&every), handlers));
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // Where it cannot be read to the end, or has ended before: the state tells.
    let _ended = rewriter.write(text).and_then(|()| rewriter.end());
    shared.borrow().state
}

fn stop_unless_open(hiding: &hidden::Hiding) -> HandlerResult {
    match hiding.state {
        hidden::State::Open => Ok(()),
        hidden::State::Ended(_) | hidden::State::Unclear => Err("seen enough".into()),
    }
}

thread_local! {
    static SELECTORS: Vec<(Selector, &'static str, Role)> = roles()
        .filter_map(|(css, role)| Some((css.parse().ok()?, css, role)))
        .collect();
}

fn roles() -> impl Iterator<Item = (&'static str, Role)> {
    let fixed = [
        ("*[style]", Role::Hidden),
        ("*[hidden]", Role::Hidden),
        ("*[popover]", Role::Hidden),
        ("a", Role::Anchor),
        ("area", Role::Anchor),
        ("body", Role::Body),
        ("template", Role::ClosedGround),
        ("svg", Role::ClosedGround),
        ("math", Role::ClosedGround),
        ("select", Role::ClosedGround),
        ("object", Role::ClosedGround),
        ("details", Role::ClosedGround),
        ("dialog", Role::ClosedGround),
        ("audio", Role::ClosedGround),
        ("video", Role::ClosedGround),
        ("canvas", Role::ClosedGround),
        ("datalist", Role::ClosedGround),
        ("meter", Role::ClosedGround),
        ("progress", Role::ClosedGround),
        ("option", Role::Concealed),
        ("optgroup", Role::Concealed),
        ("rp", Role::Concealed),
        ("button", Role::ClosedGround),
        ("frameset", Role::ClosedGround),
        ("img", Role::Image),
        ("div", Role::Container),
        ("p", Role::Container),
        ("td", Role::Container),
        ("span", Role::Container),
    ];
    fixed.into_iter().chain(
        quotes::MARKS
            .iter()
            .map(|mark| (mark.selector, Role::Quote(mark))),
    )
}

/// The first two letters of the names that follow a `<`. Every selector costs at every tag, so those that can find
/// nothing are left out.
struct Names {
    seen: [u32; 32],
    /// How many may be links.
    anchors: usize,
}

impl Names {
    fn of(html: &[u8]) -> Self {
        let mut names = Self {
            seen: [0; 32],
            anchors: 0,
        };
        for place in memchr::memchr_iter(b'<', html) {
            if let Some([first, second]) = html.get(place + 1..place + 3)
                && let Some(row) = names.seen.get_mut(usize::from(first & 31))
            {
                *row |= 1 << (second & 31);
                names.anchors += usize::from(matches!(first, b'a' | b'A'));
            }
        }
        names
    }

    /// Tells whether what a selector names may occur; it begins with the name of an element.
    fn may_hold(&self, selector: &str) -> bool {
        match selector.as_bytes() {
            [first, second, ..] if second.is_ascii_alphabetic() => self
                .seen
                .get(usize::from(first & 31))
                .is_some_and(|row| row & (1 << (second & 31)) != 0),
            _ => true,
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Anchor,
    Body,
    ClosedGround,
    /// What it holds is not shown as it stands; its end tag is mostly left out.
    Concealed,
    Container,
    /// Hidden by its own attributes.
    Hidden,
    Image,
    Quote(&'static quotes::Mark),
}

impl Role {
    fn serves(self, wish: Wish, hints: quotes::Hints) -> bool {
        match self {
            Self::Anchor => true,
            Self::Body => wish == Wish::Edit,
            Self::ClosedGround => matches!(wish, Wish::Edit | Wish::Words),
            Self::Quote(mark) => wish == Wish::Edit && mark.is_worth_it(hints),
            Self::Image => !matches!(wish, Wish::Edit | Wish::Words),
            Self::Container => wish == Wish::Artefacts,
            Self::Concealed | Self::Hidden => wish == Wish::Edit,
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
                {
                    let mut state = state.borrow_mut();
                    state.closed_ground += 1;
                    state.hide_from(element.source_location().bytes().start);
                }
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
            Self::Concealed => handlers.element(move |element: &mut Element<'_, '_>| {
                let start = element.source_location().bytes().start;
                state.borrow_mut().hide_from(start);
                Ok(())
            }),
            Self::Container => handlers.element(move |element: &mut Element<'_, '_>| {
                add_block(&state, element, BlockKind::Container, None)
            }),
            Self::Hidden => handlers.element(move |element: &mut Element<'_, '_>| {
                let has = |name| element.has_attribute(name);
                let is_hidden = || {
                    let style = element.get_attribute("style");
                    style.is_some_and(|style| hidden::is_hiding(&style))
                };
                if element.can_have_content() && (has("hidden") || has("popover") || is_hidden()) {
                    let start = element.source_location().bytes().start;
                    state.borrow_mut().hide_from(start);
                }
                Ok(())
            }),
            Self::Image => handlers.element(move |element: &mut Element<'_, '_>| {
                state.borrow_mut().found.has_content = true;
                let source = first_attribute(element, html, b"src");
                add_block(&state, element, BlockKind::Image, source)
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
    let place = element.source_location().bytes();
    if place.start == html.len() {
        let mut state = shared.borrow_mut();
        state.found.is_open_ended = state.closed_ground == 0;
        return Ok(());
    }
    let mut href: Option<Value> = None;
    let mut opt_outs = Vec::new();
    for attribute in element.attributes() {
        let Some(name) = attribute.name_source_location() else {
            continue;
        };
        let written = html.get(name.bytes()).unwrap_or_default();
        if href.is_none() && written.eq_ignore_ascii_case(b"href") {
            // Of a doubled attribute the first counts, even if it is empty.
            href = Some(match attribute.value_source_location() {
                Some(place) => Value::of(attribute, place.bytes(), html),
                None => Value {
                    place: name.bytes(),
                    decoded: Some(Box::default()),
                },
            });
        } else if wish == Wish::Edit && opt_out::may_be(written) {
            opt_outs.extend(opt_out_of(html, attribute));
        }
    }
    let Some(href) = href else {
        return Ok(());
    };
    let mut state = shared.borrow_mut();
    let is_content = state.closed_ground == 0 && element.namespace_uri() == HTML;
    let is_quoted = state.only_quoted || state.quotes > 0;
    let address = (wish == Wish::Artefacts).then(|| href.clone());
    let label = label_of(html, &place);
    let is_rare = label.is_some() || !opt_outs.is_empty();
    state.found.anchors.push(Anchor {
        href,
        inside: place.end,
        rare: is_rare.then(|| Box::new(Rare { label, opt_outs })),
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
    if wish == Wish::Words && state.closed_ground > 0 {
        return Ok(());
    }
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

fn first_attribute(element: &Element<'_, '_>, html: &[u8], name: &[u8]) -> Option<Value> {
    let attribute = element.attributes().iter().find(|attribute| {
        let place = attribute.name_source_location();
        place
            .and_then(|place| html.get(place.bytes()))
            .is_some_and(|written| written.eq_ignore_ascii_case(name))
    })?;
    let place = attribute.value_source_location()?.bytes();
    Some(Value::of(attribute, place, html))
}

fn add_block(
    state: &Shared,
    element: &mut Element<'_, '_>,
    kind: BlockKind,
    address: Option<Value>,
) -> HandlerResult {
    let number = {
        let mut state = state.borrow_mut();
        state.found.blocks.push(Block {
            start: element.source_location().bytes(),
            end: None,
            address,
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
        if state.closed_ground > 0 {
            // Nothing in there is shown, and nothing after it is quoted by it.
            return Ok(());
        }
        if state.found.quote.is_none() {
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
