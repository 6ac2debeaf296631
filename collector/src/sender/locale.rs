// SPDX-License-Identifier: GPL-3.0-or-later
//! Dates, times and numbers as each language writes them, in the user's time zone.

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use common::language::Language;

/// A language and a time zone: what it takes to write a time down for somebody.
#[derive(Clone, Copy)]
pub struct Locale {
    pub language: Language,
    pub zone: Tz,
}

impl Locale {
    /// Makes a locale; a zone that is not known any more counts as UTC.
    pub fn new(language: Language, zone: &str) -> Self {
        Self {
            language,
            zone: zone.parse().unwrap_or(Tz::UTC),
        }
    }

    /// Writes a time: the day, unless it is today, and hours and minutes.
    pub fn time(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.zone);
        let today = now.with_timezone(&self.zone).date_naive();
        let date = local.date_naive();
        let day = if date == today {
            self.pick("heute", "today", "aujourd’hui", "dziś")
                .to_owned()
        } else if Some(date) == today.checked_sub_days(Days::new(1)) {
            self.pick("gestern", "yesterday", "hier", "wczoraj")
                .to_owned()
        } else if date.year() == today.year() {
            self.date_without_year(date)
        } else {
            self.date(date)
        };
        format!("{day}, {:02}:{:02}", local.hour(), local.minute())
    }

    /// Writes a time in full, whatever day it is read.
    pub fn full_time(&self, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.zone);
        format!(
            "{} {}, {:02}:{:02}:{:02}",
            self.weekday_short(local.weekday()),
            self.date(local.date_naive()),
            local.hour(),
            local.minute(),
            local.second()
        )
    }

    /// Writes a date with its year.
    pub fn date(&self, date: NaiveDate) -> String {
        let day_and_month = self.date_without_year(date);
        format!("{day_and_month} {}", date.year())
    }

    /// Writes day and month.
    pub fn date_without_year(&self, date: NaiveDate) -> String {
        let month = self.month(date);
        match self.language {
            Language::De => format!("{}. {month}", date.day()),
            Language::Fr if date.day() == 1 => format!("1er {month}"),
            Language::En | Language::Fr | Language::Pl => format!("{} {month}", date.day()),
        }
    }

    /// Writes the hour that begins then as a span of time.
    pub fn hour(&self, hour: u32) -> String {
        let next = (hour + 1) % 24;
        match self.language {
            Language::De => format!("{hour}–{next} Uhr"),
            Language::En => format!("{hour}:00–{next}:00"),
            Language::Fr => format!("{hour} h – {next} h"),
            Language::Pl => format!("{hour}:00–{next}:00"),
        }
    }

    /// Writes the name of a day of the week.
    pub fn weekday(&self, day: Weekday) -> &'static str {
        let names = match self.language {
            Language::De => [
                "Montag",
                "Dienstag",
                "Mittwoch",
                "Donnerstag",
                "Freitag",
                "Samstag",
                "Sonntag",
            ],
            Language::En => [
                "Monday",
                "Tuesday",
                "Wednesday",
                "Thursday",
                "Friday",
                "Saturday",
                "Sunday",
            ],
            Language::Fr => [
                "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche",
            ],
            Language::Pl => [
                "poniedziałek",
                "wtorek",
                "środa",
                "czwartek",
                "piątek",
                "sobota",
                "niedziela",
            ],
        };
        names
            .get(day.num_days_from_monday() as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Writes a whole number, its digits grouped.
    pub fn number(&self, number: impl Into<i64>) -> String {
        let number: i64 = number.into();
        let digits = number.unsigned_abs().to_string();
        let separator = match self.language {
            Language::De => ".",
            Language::En => ",",
            Language::Fr => "\u{202f}",
            // Four digits stand together in Polish.
            Language::Pl if digits.len() <= 4 => "",
            Language::Pl => "\u{a0}",
        };
        let mut text = String::from(if number < 0 { "−" } else { "" });
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push_str(separator);
            }
            text.push(digit);
        }
        text
    }

    /// Writes a percentage.
    pub fn percent(&self, percent: u32) -> String {
        match self.language {
            Language::De => format!("{percent}\u{a0}%"),
            Language::Fr => format!("{percent}\u{202f}%"),
            Language::En | Language::Pl => format!("{percent}%"),
        }
    }

    fn weekday_short(&self, day: Weekday) -> &'static str {
        let names = match self.language {
            Language::De => ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."],
            Language::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
            Language::Fr => ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
            Language::Pl => ["pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."],
        };
        names
            .get(day.num_days_from_monday() as usize)
            .copied()
            .unwrap_or_default()
    }

    fn month(&self, date: NaiveDate) -> &'static str {
        let names = match self.language {
            Language::De => [
                "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.",
                "Nov.", "Dez.",
            ],
            Language::En => [
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
            ],
            Language::Fr => [
                "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.",
                "nov.", "déc.",
            ],
            Language::Pl => [
                "sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru",
            ],
        };
        names
            .get(date.month0() as usize)
            .copied()
            .unwrap_or_default()
    }

    fn pick(
        &self,
        de: &'static str,
        en: &'static str,
        fr: &'static str,
        pl: &'static str,
    ) -> &'static str {
        match self.language {
            Language::De => de,
            Language::En => en,
            Language::Fr => fr,
            Language::Pl => pl,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(language: Language) -> Locale {
        Locale::new(language, "Europe/Warsaw")
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_local_and_say_the_day_where_needed() {
        let now = at("2026-11-24T15:00:00Z");
        let english = locale(Language::En);

        assert_eq!(
            english.time(at("2026-11-24T13:02:00Z"), now),
            "today, 14:02"
        );
        // Past midnight in Warsaw already.
        assert_eq!(
            english.time(at("2026-11-23T23:30:00Z"), now),
            "today, 00:30"
        );
        assert_eq!(
            english.time(at("2026-11-23T10:00:00Z"), now),
            "yesterday, 11:00"
        );
        assert_eq!(
            english.time(at("2026-03-02T10:00:00Z"), now),
            "2 Mar, 11:00"
        );
        assert_eq!(
            english.time(at("2025-07-02T10:00:00Z"), now),
            "2 Jul 2025, 12:00"
        );
    }

    #[test]
    fn each_language_has_its_own_dates() {
        let first = at("2026-11-01T10:00:00Z");

        assert_eq!(
            locale(Language::De).full_time(first),
            "So. 1. Nov. 2026, 11:00:00"
        );
        assert_eq!(
            locale(Language::Fr).full_time(first),
            "dim. 1er nov. 2026, 11:00:00"
        );
        assert_eq!(
            locale(Language::Pl).full_time(first),
            "niedz. 1 lis 2026, 11:00:00"
        );
    }

    #[test]
    fn each_language_has_its_own_numbers() {
        let numbers = |language| {
            let locale = locale(language);
            [
                locale.number(1234),
                locale.number(1_234_567),
                locale.percent(31),
            ]
        };

        assert_eq!(numbers(Language::En), ["1,234", "1,234,567", "31%"]);
        assert_eq!(numbers(Language::De), ["1.234", "1.234.567", "31\u{a0}%"]);
        assert_eq!(
            numbers(Language::Fr),
            ["1\u{202f}234", "1\u{202f}234\u{202f}567", "31\u{202f}%"]
        );
        assert_eq!(
            numbers(Language::Pl),
            ["1234", "1\u{a0}234\u{a0}567", "31%"]
        );
    }

    #[test]
    fn unknown_zone_counts_as_utc() {
        assert_eq!(Locale::new(Language::En, "Mars/Olympus").zone, Tz::UTC);
    }
}
