// SPDX-License-Identifier: GPL-3.0-or-later
//! What a real browser makes of instrumented HTML, beside the original: the disclosure is seen, there is one pixel, every
//! link leads where it led, and all else reads the same. Markup that nobody should write is the subject.
//!
//! `FAIRTRACK_SHOWN_DOCUMENTS` says how many documents are thrown together by chance, `FAIRTRACK_SHOWN_SEED` which.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends where a step fails"
)]

use common::{
    config::Config,
    ids::MessageId,
    keys::KeyRing,
    language::Language,
    reason::SkipReason,
    tracking_url::{Artefact, recognise, verify},
};
use harness::{browser::Browser, chance::Chance, needs};
use milter::{
    control::Links,
    instrument::{Plan, instrument},
    message::Message,
};
use serde_json::Value;
use uuid::Uuid;

const BASE: &str = "https://track.example.com";

/// An ordinary link.
const LINK: &str = "<a href=\"https://a.example/?x=1&amp;y=2\">there</a>";

/// Documents, with `LINK` for an ordinary link.
const DOCUMENTS: &[&str] = &[
    // Nothing out of the ordinary.
    "<html><body><p>Hi LINK</p></body></html>",
    "<p>Hi LINK</p>",
    "<!DOCTYPE html><html><head><title>t</title><style>p{color:red}</style></head><body><p>LINK</p></body></html>\r\n",
    // Ends of the document where it does not end.
    "<html><body><p>x</p></body></html><p>LINK</p><blockquote>q</blockquote>",
    "<html><body><p>x</p></html><blockquote>LINK</blockquote></body>",
    "<body class=a><p>x</p><body style=\"display:none\"><p>LINK</p></body>",
    "<body><p>x</p><body><p>LINK</p></body></body>",
    "<body><p>x LINK</p><!-- </body> --></body><!-- </body> --></html>",
    "<body><p>x LINK</p><!--[if mso]></td></tr></table></body><![endif]--></body></html>",
    "<body><!--[if mso]><table><tr><td><![endif]--><p>LINK</p><!--[if mso]></td></tr></table><![endif]--></body>",
    "<body><p>x</p><!--[if !mso]><!--></body><!--<![endif]--><p>LINK</p>",
    "<body><p>x</p><![if !mso]><p>LINK</p><![endif]></body>",
    // Hidden.
    "<body><p>x LINK</p><div style=\"display:none\">y</body>",
    "<body><p>x LINK</p><div style=\"display:none\"><table><tr><td></div>y</body>",
    "<body><div style=\"display:none;max-height:0\">preview</div><p>x LINK</p></body>",
    "<body><p>x LINK</p><span><div hidden></span>y",
    "<body><p>x LINK</p><p><b style=\"display:none\">y</p>z</body>",
    "<body><p>x LINK</p><div><div><b hidden></div></div>y</body>",
    "<body><p>x LINK</p><form hidden><div></form>y",
    "<body style=\"display:none\"><p>x LINK</p></body>",
    "<p>LINK</p><body style=\"display:none\">",
    "<body><p>x LINK</p><table style=\"display:none\"><tr><td>y<table></body>",
    "<body><table><tr><div style=\"display:none\"><td>x LINK</td></tr></table>y</body>",
    "<body><p hidden>x<div>LINK</div></body>",
    "<body><p>x LINK</p><section hidden><h1></h2>y</section></body>",
    "<body><svg><div hidden></svg>y LINK</body>",
    "<body><p>x LINK</p><ul><li hidden>y<li>z</ul></body>",
    "<body><p>x LINK</p><div style=\"opacity:0\">y",
    "<body><p>x LINK</p><div style=\"visibility:hidden\"><p>y</body>",
    "<body><p>x LINK</p><div style='max-height:0px;overflow:hidden'><p>y</body>",
    // Folded up, not drawn, not HTML.
    "<body><p>LINK</p><details><table><tr><td></details>y</body>",
    "<body><p>LINK</p><details><summary>s</summary>y</body>",
    "<body><p>LINK</p><template><p>y</template></body>",
    "<body><p>LINK</p><template><div></template>z</body>",
    "<body><p>LINK</p><select><option>y LINK</select></body>",
    "<body><p>LINK</p><select><option><div></body></select>",
    "<body><p>LINK</p><object><p>y</object></body>",
    "<body><p>LINK</p><video>y",
    "<body><p>LINK</p><button>y</body>",
    "<body><p>LINK</p><dialog>y</body>",
    "<body><p>LINK</p><noscript><p>y LINK</noscript></body>",
    "<body><p>LINK</p><noscript></body></noscript>z",
    "<frameset><frame></frameset>LINK",
    "<p>LINK</p><plaintext></body>",
    "<body><p>LINK</p><xmp></body><a href=\"https://b.example/\"></xmp>z</body>",
    "<body><p>LINK</p><noembed></body></noembed><noframes></body></noframes>z",
    "<body><p>LINK</p><iframe></body></iframe>z",
    "<body><p>LINK</p><textarea></body></textarea>z",
    "<body><p>LINK</p><style x=></body></style>z",
    "<body><p>LINK</p><style x=><a href=\"https://b.example/\"></style>z</body>",
    "<body><p>LINK</p><title y= ></body></title>z",
    "<body><p>LINK</p><script x=></body></script>z",
    "<body><p>LINK</p><script><!--<script></script></body></script>z",
    // Drawings.
    "<body><p>LINK</p><svg><foreignObject></title><style><a href=\"https://b.example/\"></style></foreignObject></svg>z</body>",
    "<body><p>LINK</p><svg><foreignObject></title><style></body></style></foreignObject></svg>z",
    "<body><p>LINK</p><svg/><style></body></style>z",
    "<body><p>LINK</p><svg><svg><p></svg></svg><style></body></style>z",
    "<body><p>LINK</p><svg width=9 height=9><a href=\"https://b.example/\"><text>t</text></a></svg></body>",
    "<body><p>LINK</p><math><mi></mo><style></mi></math></body></style>z",
    "<body><p>LINK</p><svg><![CDATA[</svg></body>]]></svg>z",
    "<body><p>LINK</p><svg><title></title></svg>z</body>",
    // Links in links, and unended ones.
    "<body><a href=\"https://b.example/\">y LINK z</body>",
    "<body><p><a href=\"https://b.example/\">y</p>z</body>",
    "<body><a href=\"https://b.example/\"><table><tr><td>x</a>y</td></tr></table>z</body>",
    "<body><a href=\"https://b.example/\"><table><tr><td>LINK</td></tr></table>z</body>",
    "<body><a href=\"https://b.example/\"><button>y</button></a>z</body>",
    "<body><button>LINK</button>z</body>",
    "<body><a href=\"https://b.example/\"><div>y</a>z</div></body>",
    "<body><a href=\"https://b.example/\"><p>LINK</p></body>",
    "<body><a name=x>y LINK</body>",
    "<body><a name=x>y<blockquote>q</blockquote></a></body>",
    "<body><a href=https://b.example/?a=1&b=2>y</a><A HREF='https://c.example/&#63;x'>z</A></body>",
    "<body><a href=\"https://b.example/\" href=\"https://c.example/\">y</a></body>",
    "<body><map name=m><area href=\"https://b.example/\" alt=y></map>z</body>",
    // Tables.
    "<body><table><tr><td>x LINK</td></tr>",
    "<body><table><tr><td>x LINK</td></tr></body></table>",
    "<body><table>x LINK<tr><td>y</table></body>",
    "<body><table><tr><td>x LINK</td></tr><blockquote>q</blockquote></table></body>",
    "<body><table><tr><td>x LINK<blockquote>q</blockquote></table></body>",
    "<body><table><caption>x LINK</body>",
    "<body><table><colgroup><col></body></table>LINK",
    // Lists and forms that are not ended.
    "<body><ul><li>x LINK<li>y</body>",
    "<body><form><p>x LINK</body>",
    "<body><b><i>x LINK</body>",
    "<body><pre>x LINK</body>",
    "<body><h1>x LINK</h2></body>",
    "<body><font size=1 color=white>x LINK<blockquote>q</blockquote></font></body>",
    "<body><p>x LINK</p><listing>y</body>",
    "<body><marquee>x LINK</body>",
    "<body><ruby>x<rp>LINK</body>",
    "<head><p>x LINK</head><body>y</body>",
    "<body>\u{0}<p>x LINK</p></body>",
    "</body><p>x LINK</p>",
    "<body><p>x LINK</p></body foo=\">\"></html>",
    "<body><p>x LINK</p></body",
    "<base href=\"https://b.example/\"><p>x LINK</p>",
];

/// Reads a page: whether the disclosure can be seen, how many pixels there are, where links lead, and the text of all but
/// the disclosure. Blanks are not compared: a block of its own parts what stood in one line.
const LOOK: &str = r#"
    const frame = document.createElement("iframe");
    frame.style.cssText = "width:800px;height:600px";
    frame.sandbox = "allow-same-origin";
    document.body.replaceChildren(frame);
    frame.contentDocument.open();
    frame.contentDocument.write(arguments[0]);
    frame.contentDocument.close();
    const shown = frame.contentDocument;
    const blocks = [...shown.querySelectorAll("[data-tracking=disclosure]")];
    const isSeen = (node) => {
        const box = node.getBoundingClientRect();
        if (!(box.width > 0 && box.height > 0)) return false;
        for (let at = node; at instanceof frame.contentWindow.Element; at = at.parentElement) {
            const style = frame.contentWindow.getComputedStyle(at);
            if (style.display === "none" || style.visibility !== "visible" || style.opacity === "0") return false;
            const flat = at.getBoundingClientRect();
            if (style.overflow !== "visible" && (flat.width === 0 || flat.height === 0)) return false;
        }
        return true;
    };
    const inLink = blocks.some((block) => block.parentElement && block.parentElement.closest("a[href], button, select"));
    const seen = blocks.length === 1 && isSeen(blocks[0]) && isSeen(blocks[0].querySelector("a"));
    const choice = blocks.map((block) => block.querySelectorAll("a[href]").length);
    const pixels = [...shown.querySelectorAll("img")].filter((image) => image.src.includes("/o/")).length;
    blocks.forEach((block) => block.remove());
    const links = [...shown.querySelectorAll("a, area")].map((link) => link.getAttribute("href")).filter((url) => url !== null);
    const text = (shown.body ? shown.body.innerText : "").replace(/\s+/g, "");
    return {seen, inLink, blocks: blocks.length, choice, pixels, links, text, all: shown.documentElement.textContent.replace(/\s+/g, "")};
"#;

#[tokio::test]
async fn browser_shows_the_disclosure_and_all_else_as_it_was() {
    needs!(Chromium);
    let browser = Browser::start().await;
    browser.open("about:blank").await;
    let mut flaws = Vec::new();
    let mut instrumented = 0;
    let documents = documents();
    for document in &documents {
        let document = document.replace("LINK", LINK);
        let Ok(edited) = edit(&document) else {
            continue;
        };
        instrumented += 1;
        let (before, after) = (
            look(&browser, &document).await,
            look(&browser, &edited).await,
        );
        if let Some(flaw) = flaw(&before, &after) {
            flaws.push(format!(
                "{flaw}:\n{document}\n{edited}\nbefore {before}\nafter {after}"
            ));
        }
    }
    println!("{instrumented} of {} were instrumented", documents.len());
    assert!(flaws.is_empty(), "{}", flaws.join("\n\n"));
    assert!(instrumented > documents.len() / 4);
}

/// All documents, and some thrown together by chance.
fn documents() -> Vec<String> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let count = number("FAIRTRACK_SHOWN_DOCUMENTS").unwrap_or(60);
    let seed = number("FAIRTRACK_SHOWN_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("FAIRTRACK_SHOWN_SEED={seed}");
    let mut chance = Chance::from_seed(seed);
    let thrown_together = (0..count).map(|_| {
        let pieces = (0..2 + chance.below(9)).map(|_| PIECES[chance.below(PIECES.len())]);
        let content: String = pieces.collect();
        match chance.below(3) {
            0 => format!("<body><p>x LINK</p>{content}</body>"),
            1 => format!("<p>x LINK</p>{content}"),
            _ => format!("<table><tr><td>x LINK{content}</td></tr></table>y"),
        }
    });
    let known = DOCUMENTS.iter().map(|document| (*document).to_owned());
    known.chain(thrown_together).collect()
}

/// What documents are thrown together from.
const PIECES: &[&str] = &[
    "LINK",
    "x",
    "<a href=\"https://b.example/\">",
    "</a>",
    "<b style=\"display:none\">",
    "</b>",
    "<i>",
    "</i>",
    "<blockquote>",
    "</blockquote>",
    "</body>",
    "<button>",
    "</button>",
    "<details>",
    "</details>",
    "<div>",
    "<div hidden>",
    "<div style=\"visibility:hidden\">",
    "</div>",
    "<form>",
    "<form hidden>",
    "</form>",
    "<h1>",
    "</h2>",
    "<li>",
    "<ul>",
    "</ul>",
    "<li style='display:none'>",
    "<!--",
    "-->",
    "<!--[if mso]>",
    "<![endif]-->",
    "<noscript>",
    "</noscript>",
    "<object>",
    "</object>",
    "<p>",
    "<p hidden>",
    "</p>",
    "<select>",
    "<option>",
    "</select>",
    "<span style=\"max-height:0;overflow:hidden\">",
    "<span>",
    "</span>",
    "<style>",
    "<style x=>",
    "</style>",
    "<svg>",
    "<svg style='display:none'>",
    "<foreignObject>",
    "</svg>",
    "<table>",
    "<table hidden>",
    "<tbody>",
    "<tr>",
    "<td>",
    "<td hidden>",
    "<caption>",
    "</td>",
    "</tr>",
    "</table>",
    "<template>",
    "</template>",
    "<textarea>",
    "</textarea>",
    "<title>",
    "</title>",
    "<xmp>",
    "</xmp>",
];

fn edit(html: &str) -> Result<String, SkipReason> {
    let config = Config::for_testing();
    let plan = Plan {
        controller: config.controllers.first().unwrap(),
        controllers: &config.controllers,
        keys: &KeyRing::for_testing(),
        language: Language::En,
        message: MessageId(Uuid::from_u128(7)),
        opens: true,
        links: Links::Both,
    };
    let raw = format!(
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}"
    );
    let edited = instrument(&Message::parse(raw.as_bytes()), &plan)?;
    Ok(String::from_utf8(edited.body).unwrap())
}

async fn look(browser: &Browser, html: &str) -> Value {
    let html = vec![Value::from(html)];
    browser.client().execute(LOOK, html).await.unwrap()
}

/// Tells what is wrong with an instrumented page, beside the original.
fn flaw(before: &Value, after: &Value) -> Option<&'static str> {
    let keys = KeyRing::for_testing();
    let links = |page: &Value| -> Vec<String> {
        let links = page["links"].as_array().unwrap();
        let led = |url: &str| match recognise(BASE, url) {
            Some(ours) => {
                assert!(verify(&keys, &ours).is_some(), "no link of ours");
                match ours {
                    Artefact::Link { destination, .. } => destination,
                    Artefact::Choices { .. } | Artefact::Pixel { .. } => String::new(),
                }
            }
            None => url.trim().to_owned(),
        };
        links.iter().map(|url| led(url.as_str().unwrap())).collect()
    };
    if after["seen"] != true {
        return Some("the disclosure is not seen");
    }
    if after["inLink"] == true || after["choice"][0] != 1 {
        return Some("the disclosure stands in a link");
    }
    if after["pixels"] != 1 {
        return Some("not one pixel");
    }
    if links(before) != links(after) {
        return Some("a link leads elsewhere");
    }
    (before["text"] != after["text"] || before["all"] != after["all"]).then_some("other text")
}
