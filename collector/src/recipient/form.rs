// SPDX-License-Identifier: GPL-3.0-or-later
//! What a form said: fields by name, read from a body of bounded size. Nothing is taken for granted.

use common::{
    consent::{Purpose, Scope},
    ids::UserId,
};

/// The most octets that a form may have.
pub const LARGEST: usize = 16 * 1024;

/// The most fields that are looked at.
const FIELDS: usize = 64;

/// The fields of a form.
pub struct Form {
    fields: Vec<(String, String)>,
}

/// What a person answered about one purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    Allow,
    Keep,
    Refuse,
}

/// A whole choice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    pub answers: Vec<(Purpose, Answer)>,
    pub scope: Scope,
}

impl Form {
    /// Reads a body, as browsers send it, or as RFC 8058 (section 3.2) lets a mail program send it.
    pub fn read(body: &[u8]) -> Self {
        let body = body.get(..body.len().min(LARGEST)).unwrap_or_default();
        if body.starts_with(b"--") {
            return Self {
                fields: multipart(&String::from_utf8_lossy(body)),
            };
        }
        let fields = url::form_urlencoded::parse(body)
            .take(FIELDS)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { fields }
    }

    /// Returns the value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.trim())
    }

    /// Tells whether a field has a value.
    pub fn says(&self, name: &str, value: &str) -> bool {
        self.value(name) == Some(value)
    }

    /// Tells whether a program withdraws for the person in one step.
    pub fn is_one_click(&self) -> bool {
        let says = |name: &str, value: &str| {
            self.fields.iter().any(|(field, said)| {
                field.eq_ignore_ascii_case(name) && said.trim().eq_ignore_ascii_case(value)
            })
        };
        says("Tracking-Consent", "Withdraw") || says("List-Unsubscribe", "One-Click")
    }

    /// Returns what was answered about each purpose, and for which mail; `None` if a question was left open.
    ///
    /// `sender` is whose mail "this sender only" means; where there is nobody, only the whole organisation can be meant.
    pub fn choice(&self, sender: Option<UserId>) -> Option<Choice> {
        let answers = Purpose::ALL
            .into_iter()
            .map(|purpose| {
                let answer = match self.value(purpose.code())? {
                    "allow" => Answer::Allow,
                    "keep" => Answer::Keep,
                    "refuse" => Answer::Refuse,
                    _ => return None,
                };
                Some((purpose, answer))
            })
            .collect::<Option<_>>()?;
        let scope = match (self.value("scope")?, sender) {
            ("controller", _) => Scope::Controller,
            ("sender", Some(user)) => Scope::Sender(user),
            _ => return None,
        };
        Some(Choice { answers, scope })
    }
}

impl Choice {
    /// Returns the choice to refuse everything from everybody.
    pub fn refuse_all() -> Self {
        Self {
            answers: Purpose::ALL
                .into_iter()
                .map(|purpose| (purpose, Answer::Refuse))
                .collect(),
            scope: Scope::Controller,
        }
    }

    /// Tells whether anything is to be allowed.
    pub fn allows(&self) -> bool {
        self.answers
            .iter()
            .any(|(_, answer)| *answer == Answer::Allow)
    }

    /// Tells whether anything is to be refused.
    pub fn refuses(&self) -> bool {
        self.answers
            .iter()
            .any(|(_, answer)| *answer == Answer::Refuse)
    }
}

impl Answer {
    /// Returns the word in forms and in evidence.
    pub fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Keep => "keep",
            Self::Refuse => "refuse",
        }
    }
}

/// Reads the fields of `multipart/form-data`, as far as a withdrawal needs it: short fields without a file.
fn multipart(text: &str) -> Vec<(String, String)> {
    let Some(boundary) = text.lines().next().map(str::trim_end) else {
        return Vec::new();
    };
    text.split(boundary)
        .take(FIELDS)
        .filter_map(|part| {
            let (head, value) = part
                .split_once("\r\n\r\n")
                .or_else(|| part.split_once("\n\n"))?;
            let (_, name) = head.split_once("name=\"")?;
            let (name, _) = name.split_once('"')?;
            Some((name.to_owned(), value.trim_end().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ANNA: UserId = UserId(Uuid::from_u128(1));

    /// C46: an untouched form, or one with a question left open, says nothing.
    #[test]
    fn open_question_is_no_choice() {
        for body in [
            "",
            "act=choose",
            "open=allow&scope=controller",
            "open=allow&click=refuse",
            "open=&click=&scope=controller",
            "open=yes&click=yes&scope=controller",
            "open=allow&click=allow&scope=everyone",
        ] {
            assert_eq!(
                Form::read(body.as_bytes()).choice(Some(ANNA)),
                None,
                "{body}"
            );
        }
        let to_nobody = Form::read(b"open=allow&click=allow&scope=sender");
        assert_eq!(to_nobody.choice(None), None);
    }

    #[test]
    fn whole_choice_is_read() {
        let choice = Form::read(b"open=allow&click=refuse&scope=sender")
            .choice(Some(ANNA))
            .unwrap();

        assert_eq!(choice.scope, Scope::Sender(ANNA));
        assert!(choice.allows() && choice.refuses());
    }

    /// C48, in the two forms that RFC 8058 names.
    #[test]
    fn one_click_is_recognised() {
        for body in [
            "Tracking-Consent=Withdraw",
            "List-Unsubscribe=One-Click",
            "tracking-consent=withdraw&x=y",
            "--b1\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b1--\r\n",
        ] {
            assert!(Form::read(body.as_bytes()).is_one_click(), "{body}");
        }
        assert!(!Form::read(b"Tracking-Consent=Grant").is_one_click());
    }

    proptest! {
        #[test]
        fn strangers_bodies_do_no_harm(body: Vec<u8>) {
            let form = Form::read(&body);
            let _ = (form.is_one_click(), form.choice(Some(ANNA)));
        }
    }
}
