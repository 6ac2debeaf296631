// SPDX-License-Identifier: GPL-3.0-or-later
//! The picture of opens and clicks by day, as numbers that the template writes into an SVG.

use super::locale::Locale;
use crate::report::Day;

/// The width of the picture in its own units.
pub(super) const WIDTH: f32 = 420.0;
/// The height of the picture in its own units.
pub(super) const HEIGHT: f32 = 150.0;

const LEFT: f32 = 30.0;
const TOP: f32 = 10.0;
const BOTTOM: f32 = 24.0;

/// A picture.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) lines: Vec<Line>,
    pub(super) labels: Vec<Label>,
    pub(super) opens: u32,
    pub(super) clicks: u32,
}

/// One bar.
pub(super) struct Bar {
    pub(super) is_click: bool,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
}

/// A horizontal line with its number.
pub(super) struct Line {
    pub(super) y: String,
    pub(super) number: String,
}

/// A date below the picture.
pub(super) struct Label {
    pub(super) x: String,
    pub(super) anchor: &'static str,
    pub(super) text: String,
}

/// Lays the picture out.
pub(super) fn chart(days: &[Day], locale: &Locale) -> Chart {
    let highest = days
        .iter()
        .map(|day| day.opens.max(day.clicks))
        .max()
        .unwrap_or(0);
    let top = round_up(highest);
    let slot = (WIDTH - LEFT) / (days.len().max(1) as f32);
    let scale = (HEIGHT - TOP - BOTTOM) / (top as f32);
    let floor = HEIGHT - BOTTOM;
    let mut bars = Vec::new();
    for (place, day) in days.iter().enumerate() {
        let x = LEFT + slot * (place as f32);
        for (is_click, number) in [(false, day.opens), (true, day.clicks)] {
            if number == 0 {
                continue;
            }
            let height = number as f32 * scale;
            let width = slot * 0.4;
            let shift = if is_click { slot * 0.5 } else { slot * 0.08 };
            bars.push(Bar {
                is_click,
                x: short(x + shift),
                y: short(floor - height),
                width: short(width),
                height: short(height),
            });
        }
    }
    let steps = if top.is_multiple_of(2) {
        vec![0, top / 2, top]
    } else {
        vec![0, top]
    };
    let lines = steps.into_iter().map(|number| Line {
        y: short(floor - number as f32 * scale),
        number: locale.number(number),
    });
    Chart {
        bars,
        lines: lines.collect(),
        labels: labels(days, locale),
        opens: days.iter().map(|day| day.opens).sum(),
        clicks: days.iter().map(|day| day.clicks).sum(),
    }
}

fn labels(days: &[Day], locale: &Locale) -> Vec<Label> {
    let middle = LEFT + (WIDTH - LEFT) / 2.0;
    let places = [
        (days.first(), LEFT, "start"),
        (days.get(days.len() / 2), middle, "middle"),
        (days.last(), WIDTH, "end"),
    ];
    places
        .into_iter()
        .filter_map(|(day, x, anchor)| {
            Some(Label {
                x: short(x),
                anchor,
                text: locale.date_without_year(day?.date),
            })
        })
        .collect()
}

/// Returns the next round number: 1, 2, 4, 10, 20, 40 and so on.
fn round_up(number: u32) -> u32 {
    let mut step: u32 = 1;
    loop {
        for factor in [1, 2, 4] {
            let candidate = step.saturating_mul(factor);
            if candidate >= number || candidate == u32::MAX {
                return candidate;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn short(number: f32) -> String {
    format!("{number:.1}")
}

#[cfg(test)]
mod tests {
    use common::language::Language;

    use super::*;

    #[test]
    fn scale_ends_at_a_round_number() {
        let rounded: Vec<u32> = [0, 1, 3, 5, 11, 39, 41].map(round_up).to_vec();

        assert_eq!(rounded, [1, 1, 4, 10, 20, 40, 100]);
        assert_eq!(round_up(u32::MAX), u32::MAX);
    }

    #[test]
    fn bars_stay_within_the_picture() {
        let day = |day: u32, opens, clicks| Day {
            date: format!("2026-11-{day:02}").parse().unwrap(),
            opens,
            clicks,
            automatic: 0,
        };
        let days = [day(1, 0, 3), day(2, 7, 0), day(3, 40, 40)];

        let chart = chart(&days, &Locale::new(Language::En, "UTC"));

        assert_eq!((chart.bars.len(), chart.opens, chart.clicks), (4, 47, 43));
        for bar in &chart.bars {
            let [x, y, width, height] =
                [&bar.x, &bar.y, &bar.width, &bar.height].map(|n| n.parse::<f32>().unwrap());
            assert!(x >= LEFT && x + width <= WIDTH);
            assert!(y >= TOP - 0.1 && y + height <= HEIGHT - BOTTOM + 0.1);
        }
    }
}
