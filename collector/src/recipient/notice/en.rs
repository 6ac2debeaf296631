// SPDX-License-Identifier: GPL-3.0-or-later
//! English.

use super::Wording;

pub(super) const WORDING: Wording = Wording {
    sections: &[
        (
            "Who is responsible",
            &["{controller}, {postal}. Contact: {contact}.", "{dpo}"],
        ),
        (
            "What is recorded where you allow it",
            &[
                "Images loaded: when the images of a message are loaded. A loaded image does not show that anybody has read the message.",
                "Links followed: when a link is followed, and which one (its number, its host and its visible text, not its full address).",
                "With both: the kind of mail program or image proxy, a coarse label of the network (such as “mobile”, “data centre” or the name of an image proxy), and whether a person or a machine seems to be behind it.",
                "With each such message: its sender, its recipients, its subject and the time of sending.",
                "For this, the message contains a small image and links that lead through {host}. A line in the message says so.",
            ],
        ),
        (
            "What is not recorded",
            &[
                "No IP address, no place, no name of your device or browser, no full link address, no cookie. Your IP address and what your program says about itself are used for a moment to tell people from machines, and then forgotten.",
            ],
        ),
        ("On what basis", &["{basis}", "{attested}"]),
        (
            "Where your address comes from",
            &["From the sender, who writes to you."],
        ),
        (
            "Who sees it",
            &[
                "The sender of the message. Administrators see totals only; looking closer needs a reason and is recorded.",
                "The data stay on the servers of {controller} and of those who operate them on its behalf. The program sends them nowhere else, and they are not used for advertising.",
            ],
        ),
        (
            "How long",
            &[
                "Only what happens within {window} days after sending is recorded. It is deleted {hits} days after it happened; messages after {messages} days.",
                "A permission ends after {grant} days. The proof of your choice is kept for {proof} days after it ended; a mailed link works for 30 minutes, one in a mail that asks for 30 days.",
            ],
        ),
        (
            "It is voluntary",
            &[
                "Neither law nor contract requires you to allow anything. Your mail arrives the same way whether you allow or refuse. Saying nothing means no.",
            ],
        ),
        (
            "Withdrawing",
            &[
                "At any time, with one button and without a reason, with the link in every such message. It covers mail you already have: old images and links keep working but are no longer recorded, and what was recorded is deleted. What was done before remains lawful.",
            ],
        ),
        (
            "Your rights",
            &[
                "You may see your data, have a copy to take with you, have them corrected, erased or frozen, and object. Most of it you can do yourself on this site, with a link mailed to your address; for the rest write to {contact}. No decision is made about you by automatic means.",
                "You may complain to {authority}, or to the data-protection authority where you live or work.",
            ],
        ),
    ],
    dpo: "Data-protection officer: {dpo}.",
    basis_consent: "Your consent: Article 6(1)(a) GDPR, together with Article 5(3) of Directive 2002/58/EC and the national law that implements it.",
    basis_other: "{basis} You may refuse or withdraw all the same, and that is obeyed.",
    attested: "If you agreed in another way, for example on paper, {controller} has recorded when, how and on what evidence. You find that among your data and can withdraw it here.",
};
