// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user's report says, worked out from rows: plain functions over values.

mod cursor;
mod picture;

use common::db::report::{Filter, Message};

pub use self::{
    cursor::Cursor,
    picture::{BestHour, Day, Share, best_hour, days, share},
};

/// What is known about a message, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Only machines were seen.
    Automatic,
    /// A likely person followed a link.
    Clicked,
    /// A likely person loaded the images.
    Opened,
    /// Nothing was seen, which does not mean that it was not read.
    Quiet,
    /// Something was seen, and it is not clear whether a person or a machine did it. For the API that is `automatic` too.
    Unclear,
    /// It left as it came.
    Untracked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Automatic,
        Self::Clicked,
        Self::Opened,
        Self::Quiet,
        Self::Unclear,
        Self::Untracked,
    ];

    /// Returns the word in the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Automatic | Self::Unclear => "automatic",
            Self::Clicked => "clicked",
            Self::Opened => "opened",
            Self::Quiet => "quiet",
            Self::Untracked => "untracked",
        }
    }
}

/// Says in one word what is known about a message: the most that a likely person did, else that
/// something was unclear, else what machines did.
pub fn status(message: &Message) -> Status {
    let is_untouched = message.reason.is_some() || !(message.opens || message.links);
    if is_untouched {
        Status::Untracked
    } else if message.click_count > 0 {
        Status::Clicked
    } else if message.open_count > 0 {
        Status::Opened
    } else if message.unclear_opens + message.unclear_clicks > 0 {
        Status::Unclear
    } else if message.automatic_count > 0 {
        Status::Automatic
    } else {
        Status::Quiet
    }
}

/// Returns the filter with that name; `None` for another.
pub fn filter(name: &str) -> Option<Filter> {
    match name {
        "clicked" => Some(Filter::Clicked),
        "opened" => Some(Filter::Opened),
        "quiet" => Some(Filter::Quiet),
        "tracked" => Some(Filter::Tracked),
        "untracked" => Some(Filter::Untracked),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn message(opens: i32, clicks: i32, automatic: i32) -> Message {
        Message {
            id: Uuid::nil(),
            message_id_header: None,
            subject: String::new(),
            sent_at: DateTime::UNIX_EPOCH,
            opens: true,
            links: true,
            reason: None,
            muted: false,
            open_count: opens,
            first_open_at: None,
            last_open_at: None,
            click_count: clicks,
            first_click_at: None,
            last_click_at: None,
            automatic_count: automatic,
            unclear_opens: 0,
            unclear_clicks: 0,
        }
    }

    #[test]
    fn status_is_the_most_that_a_person_did() {
        assert_eq!(status(&message(0, 0, 0)), Status::Quiet);
        assert_eq!(status(&message(0, 0, 9)), Status::Automatic);
        assert_eq!(status(&message(1, 0, 9)), Status::Opened);
        assert_eq!(status(&message(0, 1, 0)), Status::Clicked);
        assert_eq!(status(&message(3, 1, 0)), Status::Clicked);
    }

    #[test]
    fn message_with_unclear_activity_is_not_said_to_have_none() {
        let opened = Message {
            unclear_opens: 1,
            ..message(0, 0, 0)
        };
        let followed = Message {
            unclear_clicks: 1,
            ..message(0, 0, 3)
        };
        let read = Message {
            unclear_opens: 1,
            ..message(1, 0, 0)
        };

        assert_eq!(status(&opened), Status::Unclear);
        assert_eq!(status(&followed), Status::Unclear);
        assert_eq!(status(&read), Status::Opened);
        assert_eq!(Status::Unclear.code(), "automatic");
    }

    #[test]
    fn untouched_message_is_untracked_whatever_its_counters_say() {
        let skipped = Message {
            reason: Some("signed".into()),
            ..message(1, 1, 1)
        };
        let nothing_in = Message {
            opens: false,
            links: false,
            ..message(0, 0, 0)
        };

        assert_eq!(status(&skipped), Status::Untracked);
        assert_eq!(status(&nothing_in), Status::Untracked);
    }
}
