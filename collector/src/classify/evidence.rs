// SPDX-License-Identifier: GPL-3.0-or-later
//! What the rules ask about a hit and its neighbours. Every question has a yes or no for an answer.

use super::{
    class::{Class, Kind},
    client::ClientKind,
    context::{Context, Neighbour},
    features::{Features, Method},
    network::Network,
};

/// A hit in its context.
pub(super) struct Case<'a> {
    pub(super) hit: &'a Features,
    pub(super) context: &'a Context<'a>,
}

/// From here on a scanner at delivery is unlikely.
const DELIVERY_WINDOW_MS: u64 = 600_000;
/// Neighbours of a touched honeypot, before and after.
const TAINT_MS: u64 = 30_000;
/// Sweeps wider than this are not looked for.
const WIDEST_SWEEP_MS: i64 = 60_000;
/// More links than this within [`WIDEST_SWEEP_MS`] are a sweep whatever the rest are: a bound on work.
const MOST_POINTS: usize = 200;
const DUPLICATE_CLICK_MS: u64 = 10_000;
const DUPLICATE_OPEN_MS: u64 = 60_000;

/// A click of a sweep: when, and on which link. A honeypot has no ordinal and is a link of its own.
type Point = (i64, Option<u16>);

impl Case<'_> {
    pub(super) fn is_open(&self) -> bool {
        self.hit.kind == Kind::Open
    }

    pub(super) fn is_click(&self) -> bool {
        self.hit.kind == Kind::Click
    }

    pub(super) fn is_get(&self) -> bool {
        self.hit.method == Method::Get
    }

    pub(super) fn client(&self) -> ClientKind {
        self.hit.client.kind
    }

    pub(super) fn is(&self, kind: ClientKind) -> bool {
        self.client() == kind
    }

    pub(super) fn network(&self) -> Network {
        self.hit.network
    }

    pub(super) fn is_within(&self, age_ms: u64) -> bool {
        self.hit.age_ms < age_ms
    }

    pub(super) fn is_within_delivery(&self) -> bool {
        self.hit.age_ms < DELIVERY_WINDOW_MS
    }

    /// Says whether the browser vouches for an act of its user.
    pub(super) fn is_strong(&self) -> bool {
        is_strong(self.hit)
    }

    /// Says whether something speaks for a person: an act vouched for, or a browser that never vouches.
    pub(super) fn affirms_human(&self) -> bool {
        let hit = self.hit;
        let is_silent_browser =
            hit.is_safari || (hit.is_mobile_web_view && !hit.has_fetch_metadata);
        self.is_strong() || (hit.has_language && is_silent_browser)
    }

    /// Says whether a click that speaks for a person is backed by a late hour or by an earlier act of a person.
    pub(super) fn is_backed(&self) -> bool {
        self.affirms_human() && (!self.is_within_delivery() || self.follows_person())
    }

    /// The same, for what the browser itself vouches for.
    pub(super) fn is_strong_and_backed(&self) -> bool {
        self.is_strong() && self.is_backed()
    }

    /// Says whether a person acted on this message before.
    pub(super) fn follows_person(&self) -> bool {
        self.context
            .earlier
            .iter()
            .any(|other| other.class.is_some_and(Class::is_person))
    }

    /// Says whether the pixel was loaded by a mail program: it does that when a message is viewed, from wherever it runs.
    pub(super) fn is_open_by_mail_program(&self) -> bool {
        self.is_open()
            && matches!(
                self.client(),
                ClientKind::AppleMail
                    | ClientKind::MailApp
                    | ClientKind::Office
                    | ClientKind::OneOutlook
            )
    }

    pub(super) fn is_browser(&self) -> bool {
        matches!(
            self.client(),
            ClientKind::Browser
                | ClientKind::OneOutlook
                | ClientKind::WebView
                | ClientKind::AppleMail
        )
    }

    /// Says whether the client is Outlook or Office itself: its clicks are checks, the browser's come after.
    pub(super) fn is_outlook(&self) -> bool {
        self.is(ClientKind::Office)
            || (self.is(ClientKind::MailApp) && self.hit.client.name == "outlook")
    }

    /// Says whether a proxy whose network is published comes from elsewhere.
    pub(super) fn is_proxy_out_of_place(&self) -> bool {
        self.hit.client.name == "gmail" && self.network() != Network::Google
    }

    /// Says whether the honeypot was touched alone, late and as a person would.
    pub(super) fn is_lone_late_person(&self) -> bool {
        const HOUR_MS: u64 = 3_600_000;
        let is_alone = !self
            .all()
            .any(|other| other.features.kind == Kind::Click && is_near(other, 60_000));
        is_alone && self.hit.age_ms > HOUR_MS && self.affirms_human()
    }

    /// Says whether the same address touched a honeypot just before.
    pub(super) fn was_tainted(&self) -> bool {
        self.context.earlier.iter().any(|other| self.taints(other))
    }

    /// Says whether the same address touched a honeypot just after.
    pub(super) fn became_tainted(&self) -> bool {
        self.context.later.iter().any(|other| self.taints(other))
    }

    fn taints(&self, other: &Neighbour) -> bool {
        other.features.is_honeypot
            && is_near(other, TAINT_MS)
            && self.hit.ip_tag == other.features.ip_tag
    }

    /// Says whether this very client was just judged a scanner on the same message.
    pub(super) fn continues_scan(&self) -> bool {
        self.context.earlier.iter().any(|other| {
            other.class == Some(Class::SecurityScanner)
                && is_near(other, TAINT_MS)
                && self.hit.ip_tag == other.features.ip_tag
                && self.hit.ua_tag == other.features.ua_tag
        })
    }

    /// Says whether this click is part of a fast sweep: two links within a second, or three within ten.
    pub(super) fn is_in_fast_sweep(&self) -> bool {
        let points = self.points_around();
        sweeps(&points, 1_000, 2) || sweeps(&points, 10_000, 3)
    }

    /// Says whether this click is part of a slow sweep: nearly all links within a minute.
    pub(super) fn is_in_slow_sweep(&self) -> bool {
        sweeps(&self.points_around(), WIDEST_SWEEP_MS, self.most_links())
    }

    /// Says whether a sweep follows, begun within two minutes.
    pub(super) fn is_followed_by_sweep(&self) -> bool {
        const BEGINS_WITHIN_MS: i64 = 120_000;
        let points: Vec<Point> = self
            .context
            .later
            .iter()
            .filter(|other| counts_in_sweep(other))
            .filter(|other| other.offset_ms <= BEGINS_WITHIN_MS + WIDEST_SWEEP_MS)
            .take(MOST_POINTS)
            .map(point)
            .collect();
        points
            .iter()
            .filter(|(start, _)| *start <= BEGINS_WITHIN_MS)
            .any(|(start, _)| {
                let reaches = |width, needed| distinct_links(&points, *start, width) >= needed;
                reaches(1_000, 2)
                    || reaches(10_000, 3)
                    || reaches(WIDEST_SWEEP_MS, self.most_links())
            })
    }

    /// This click and those around it that no person made.
    fn points_around(&self) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .all()
            .filter(|other| other.offset_ms.abs() <= WIDEST_SWEEP_MS && counts_in_sweep(other))
            .take(MOST_POINTS)
            .map(point)
            .collect();
        points.push((0, self.hit.link));
        points
    }

    /// Four links out of five, but three at least.
    fn most_links(&self) -> usize {
        let links = usize::try_from(self.context.links).unwrap_or(usize::MAX);
        links.saturating_mul(4).div_ceil(5).max(3)
    }

    /// Says whether a click from the same network follows so soon that it was the same machine.
    pub(super) fn is_followed_by_click_from_there(&self) -> bool {
        self.context.later.iter().any(|other| {
            other.features.kind == Kind::Click
                && other.features.network == self.network()
                && is_near(other, 30_000)
        })
    }

    /// Says whether a person just followed this link on another system, from another address.
    pub(super) fn shadows_person(&self) -> bool {
        self.context.earlier.iter().any(|other| {
            other.class == Some(Class::Human)
                && other.features.kind == Kind::Click
                && other.features.link == self.hit.link
                && is_near(other, 30_000)
                && other.features.ip_tag != self.hit.ip_tag
                && other.features.os != self.hit.os
        })
    }

    /// Says whether this hit repeats an earlier one of a person.
    pub(super) fn is_repeat(&self) -> bool {
        self.context.earlier.iter().any(|other| {
            other.class.is_some_and(Class::is_person)
                && other.features.kind == self.hit.kind
                && match self.hit.kind {
                    Kind::Click => {
                        other.features.link == self.hit.link
                            && is_near(other, DUPLICATE_CLICK_MS)
                            && self.is_same_client(&other.features)
                    }
                    Kind::Open => {
                        is_near(other, DUPLICATE_OPEN_MS)
                            && (self.is_same_client(&other.features)
                                || self.is_same_proxy(&other.features))
                    }
                }
        })
    }

    /// The same program at the same address, or at the other address of a device that has two.
    fn is_same_client(&self, other: &Features) -> bool {
        self.hit.ua_tag == other.ua_tag
            && (self.hit.ip_tag == other.ip_tag || self.hit.is_ipv6 != other.is_ipv6)
    }

    /// Any node of the same proxy.
    fn is_same_proxy(&self, other: &Features) -> bool {
        let is_proxy = self.is(ClientKind::ImageProxy) || self.network() == Network::Microsoft;
        is_proxy && self.hit.client == other.client && {
            self.is(ClientKind::ImageProxy) || other.network == Network::Microsoft
        }
    }

    fn all(&self) -> impl Iterator<Item = &Neighbour> {
        self.context.earlier.iter().chain(self.context.later)
    }
}

fn is_strong(hit: &Features) -> bool {
    hit.kind == Kind::Click && hit.is_user_activated && hit.has_language
}

fn is_near(other: &Neighbour, within_ms: u64) -> bool {
    other.offset_ms.unsigned_abs() <= within_ms
}

/// A click counts unless a person is known to have made it.
fn counts_in_sweep(other: &Neighbour) -> bool {
    let is_person = matches!(
        other.class,
        Some(Class::Duplicate | Class::Human | Class::SelfHit)
    );
    other.features.kind == Kind::Click && !is_person && !is_strong(&other.features)
}

fn point(other: &Neighbour) -> Point {
    (other.offset_ms, other.features.link)
}

/// Says whether some span of this width that contains moment 0 has that many different links.
fn sweeps(points: &[Point], width_ms: i64, needed: usize) -> bool {
    points
        .iter()
        .map(|(start, _)| *start)
        .filter(|start| (-width_ms..=0).contains(start))
        .any(|start| distinct_links(points, start, width_ms) >= needed)
}

fn distinct_links(points: &[Point], start: i64, width_ms: i64) -> usize {
    let end = start.saturating_add(width_ms);
    let mut links: Vec<Option<u16>> = points
        .iter()
        .filter(|(at, _)| (start..=end).contains(at))
        .map(|(_, link)| *link)
        .collect();
    links.sort_unstable();
    links.dedup();
    links.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_counted_in_links_not_in_hits() {
        let same = [(0, Some(1)), (100, Some(1)), (200, Some(1))];
        let three = [(-4_000, Some(1)), (0, Some(2)), (6_000, Some(3))];

        assert!(!sweeps(&same, 1_000, 2));
        assert!(sweeps(&three, 10_000, 3));
        assert!(!sweeps(&three, 9_999, 3));
    }

    #[test]
    fn a_sweep_must_contain_the_hit_itself() {
        let before = [(-9_000, Some(1)), (-8_800, Some(2)), (0, Some(3))];

        assert!(!sweeps(&before, 1_000, 2));
    }
}
