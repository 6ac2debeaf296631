// SPDX-License-Identifier: GPL-3.0-or-later
//! English.

use super::{Common, Errors, Notification, SignIn, Texts};

pub(super) static TEXTS: Texts = Texts {
    common: Common {
        navigation: "Main",
        report: "Report",
        notifications: "Notifications",
        contacts: "Contacts",
        settings: "Settings",
        bell: "Notifications, unread: {n}",
        sign_out: "Sign out",
        back: "Back",
        no_subject: "(no subject)",
    },
    errors: Errors {
        bad_request: (
            "That did not make sense here",
            "Something in the request could not be read. Go back, and try again.",
        ),
        foreign: (
            "Please try again from our page",
            "The form was sent from elsewhere, or your session has changed since the page was opened. Reload the page and send it again.",
        ),
        not_found: (
            "There is nothing here",
            "The page does not exist, or it belongs to somebody else. Old messages are deleted after the time that your organisation has set.",
        ),
        too_often: (
            "Too many requests",
            "Please wait a little before you try again.",
        ),
        unavailable: (
            "Not reachable for the moment",
            "Your mail is not affected. Please try again in a minute.",
        ),
        other: (
            "Something went wrong",
            "It is our fault, not yours, and it has been written down. Your mail is not affected.",
        ),
    },
    notification: Notification {
        first_open: "“{subject}” was opened",
        first_click: "“{subject}”: the link “{link}” was followed",
        repeat_open: "“{subject}” was opened again after a while",
        warning: "A choice in a message was not understood and counted as no: {detail}",
        a_link: "a link",
    },
    sign_in: SignIn {
        title: "Sign in",
        intro: "Enter your mail address. You get a link that signs you in; there is no password.",
        address: "Your mail address",
        send: "Send me a link",
        sent_title: "Look into your mailbox",
        sent: "If this address may sign in here, a link is on its way. It works once, for {minutes} minutes.",
        sent_hint: "Nothing there after a few minutes? Check the address, look into the spam folder, or ask your administrator whether you have access.",
        confirm_title: "Sign in",
        confirm: "You opened the link from our mail. One press, and you are in.",
        confirm_button: "Sign in now",
        dead_title: "This link no longer works",
        dead: "Each link works once and only for a short time. Send yourself a new one.",
        again: "Get a new link",
        by_portal: "You are signed in by your organisation’s portal. Open Fairtrack from there.",
        mail_subject: "Your sign-in link",
        mail_text: "Hello,\n\nopen this link to sign in to Fairtrack:\n\n{link}\n\nIt works once, for {minutes} minutes.\n\nIf you did not ask for it, ignore this message: nobody gets in without it.\n",
    },
};
