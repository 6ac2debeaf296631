// SPDX-License-Identifier: GPL-3.0-or-later
//! The frame of every page: what `templates/layout.html` shows around the page itself.
//!
//! Pages for the person who writes and for the person observed share this frame and nothing else.

use common::language::Language;

use crate::assets::{ICON, SCRIPT, STYLE};

/// What the frame shows; every page's template has one as `layout`.
pub struct Layout {
    pub language: Language,
    /// The title of the page.
    pub title: String,
    /// What stands at the upper left: our name, or the controller's on pages for recipients.
    pub brand: String,
    /// The way around for a signed-in user.
    pub nav: Option<Nav>,
}

/// The way around the pages of a signed-in user.
pub struct Nav {
    /// What the list of links is called for screen readers.
    pub label: &'static str,
    pub items: Vec<NavItem>,
    pub unread: i64,
    /// What the bell says to those who do not see it.
    pub bell: String,
    pub is_on_bell: bool,
}

/// One link of the way around.
pub struct NavItem {
    pub path: &'static str,
    pub label: &'static str,
    pub is_here: bool,
    /// Whether the bell leads there too, so that a narrow page can do without.
    pub is_belled: bool,
}

impl Layout {
    /// Makes the frame of a page for somebody who is not signed in.
    pub fn plain(language: Language, title: impl Into<String>) -> Self {
        Self {
            language,
            title: title.into(),
            brand: "Fairtrack".into(),
            nav: None,
        }
    }

    /// Returns the address of the stylesheet, which changes with its content.
    pub fn style(&self) -> &'static str {
        STYLE.url()
    }

    /// Returns the address of the script, which changes with its content.
    pub fn script(&self) -> &'static str {
        SCRIPT.url()
    }

    /// Returns the address of the icon, which changes with its content.
    pub fn icon(&self) -> &'static str {
        ICON.url()
    }

    /// Returns what the link past the navigation says.
    pub fn skip(&self) -> &'static str {
        match self.language {
            Language::De => "Zum Inhalt",
            Language::En => "Skip to content",
            Language::Fr => "Aller au contenu",
            Language::Pl => "Przejdź do treści",
        }
    }
}

impl Nav {
    /// Returns the number that the bell shows.
    pub fn badge(&self) -> String {
        if self.unread > 99 {
            "99+".into()
        } else {
            self.unread.to_string()
        }
    }
}
