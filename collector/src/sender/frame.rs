// SPDX-License-Identifier: GPL-3.0-or-later
//! The frame of a signed-in user's pages: the way around, and the bell.

use common::db::{Connection, notifications_feed};

use super::{locale::Locale, texts::Texts};
use crate::{
    auth::CurrentUser,
    failure::Failure,
    layout::{Layout, Nav, NavItem},
};

/// The parts of the site between which the frame leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Contacts,
    Notifications,
    Report,
    Settings,
}

/// Makes the frame, asking how many notifications are unread.
///
/// # Errors
///
/// Fails if the database does not answer.
pub(super) async fn frame(
    current: &CurrentUser,
    place: Place,
    title: impl Into<String>,
    connection: &mut Connection,
) -> Result<Layout, Failure> {
    let unread =
        notifications_feed::unread(current.controller_id(), current.id(), connection).await?;
    let language = current.language();
    let t = &Texts::of(language).common;
    let items = [
        ("/", t.report, Place::Report),
        ("/notifications", t.notifications, Place::Notifications),
        ("/contacts", t.contacts, Place::Contacts),
        ("/settings", t.settings, Place::Settings),
    ];
    Ok(Layout {
        language,
        title: title.into(),
        brand: "Fairtrack".into(),
        nav: Some(Nav {
            label: t.navigation,
            items: items
                .into_iter()
                .map(|(path, label, item)| NavItem {
                    path,
                    label,
                    is_here: item == place,
                    is_belled: item == Place::Notifications,
                })
                .collect(),
            unread,
            bell: t.bell.replace("{n}", &unread.to_string()),
            is_on_bell: place == Place::Notifications,
        }),
    })
}

/// Returns how dates and numbers are written for a user.
pub(super) fn locale(current: &CurrentUser) -> Locale {
    Locale::new(current.language(), &current.user.time_zone)
}
