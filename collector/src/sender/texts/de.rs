// SPDX-License-Identifier: GPL-3.0-or-later
//! German.

use super::{Common, Errors, Notification, SignIn, Texts};

pub(super) static TEXTS: Texts = Texts {
    common: Common {
        navigation: "Hauptbereiche",
        report: "Bericht",
        notifications: "Mitteilungen",
        contacts: "Kontakte",
        settings: "Einstellungen",
        bell: "Mitteilungen, ungelesen: {n}",
        sign_out: "Abmelden",
        back: "Zurück",
        no_subject: "(kein Betreff)",
    },
    errors: Errors {
        bad_request: (
            "Das war hier nicht zu verstehen",
            "Etwas in der Anfrage war nicht lesbar. Gehen Sie zurück und versuchen Sie es noch einmal.",
        ),
        foreign: (
            "Bitte noch einmal von unserer Seite aus",
            "Das Formular kam von anderswo, oder Ihre Sitzung hat sich geändert, seit die Seite geöffnet wurde. Laden Sie die Seite neu und senden Sie es noch einmal ab.",
        ),
        not_found: (
            "Hier ist nichts",
            "Die Seite gibt es nicht, oder sie gehört jemand anderem. Alte Nachrichten werden nach der Frist gelöscht, die Ihre Organisation festgelegt hat.",
        ),
        too_often: (
            "Zu viele Anfragen",
            "Bitte warten Sie ein wenig, bevor Sie es erneut versuchen.",
        ),
        unavailable: (
            "Gerade nicht erreichbar",
            "Ihre E-Mails sind davon nicht betroffen. Bitte versuchen Sie es in einer Minute noch einmal.",
        ),
        other: (
            "Etwas ist schiefgegangen",
            "Der Fehler liegt bei uns und wurde festgehalten. Ihre E-Mails sind davon nicht betroffen.",
        ),
    },
    notification: Notification {
        first_open: "„{subject}“ wurde geöffnet",
        first_click: "„{subject}“: Der Link „{link}“ wurde angeklickt",
        repeat_open: "„{subject}“ wurde nach einer Pause erneut geöffnet",
        warning: "Eine Wahl in einer Nachricht war nicht verständlich und galt als Nein: {detail}",
        a_link: "ein Link",
    },
    sign_in: SignIn {
        title: "Anmelden",
        intro: "Geben Sie Ihre E-Mail-Adresse ein. Sie erhalten einen Link, der Sie anmeldet; ein Passwort gibt es nicht.",
        address: "Ihre E-Mail-Adresse",
        send: "Link zusenden",
        sent_title: "Sehen Sie in Ihr Postfach",
        sent: "Wenn diese Adresse hier Zugang hat, ist ein Link unterwegs. Er gilt einmal und {minutes} Minuten lang.",
        sent_hint: "Nach einigen Minuten noch nichts da? Prüfen Sie die Adresse, sehen Sie im Spam-Ordner nach oder fragen Sie Ihre Administration, ob Sie Zugang haben.",
        confirm_title: "Anmelden",
        confirm: "Sie haben den Link aus unserer E-Mail geöffnet. Ein Druck auf den Knopf genügt.",
        confirm_button: "Jetzt anmelden",
        dead_title: "Dieser Link gilt nicht mehr",
        dead: "Jeder Link gilt nur einmal und nur kurze Zeit. Lassen Sie sich einen neuen schicken.",
        again: "Neuen Link anfordern",
        by_portal: "Die Anmeldung übernimmt das Portal Ihrer Organisation. Öffnen Sie Fairtrack von dort aus.",
        mail_subject: "Ihr Link zum Anmelden",
        mail_text: "Guten Tag,\n\nmit diesem Link melden Sie sich bei Fairtrack an:\n\n{link}\n\nEr gilt einmal und {minutes} Minuten lang.\n\nWenn Sie ihn nicht angefordert haben, beachten Sie diese Nachricht nicht: Ohne sie kommt niemand hinein.\n",
    },
};
