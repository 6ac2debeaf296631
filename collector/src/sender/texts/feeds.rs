// SPDX-License-Identifier: GPL-3.0-or-later
//! The words of the feed, the daily summary, and what the settings page says of both and of webhooks.

use common::language::Language;

/// The words of one language.
pub struct Feeds {
    pub title: &'static str,
    pub intro: &'static str,
    pub none: &'static str,
    pub since: &'static str,
    pub create: &'static str,
    pub renew: &'static str,
    pub revoke: &'static str,
    pub created: &'static str,
    pub feed_title: &'static str,
    pub webhooks_intro: &'static str,
    pub to_webhooks: &'static str,
    pub digest: &'static str,
    pub digest_hint: &'static str,
    pub digest_subject: &'static str,
    pub summary: &'static str,
    pub more: &'static str,
    pub to_report: &'static str,
    pub honest: &'static str,
    pub why: &'static str,
    pub stop: &'static str,
}

impl Feeds {
    /// Returns the words of a language.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::De => &DE,
            Language::En => &EN,
            Language::Fr => &FR,
            Language::Pl => &PL,
        }
    }
}

const EN: Feeds = Feeds {
    title: "Feed and webhooks",
    intro: "A feed reader can show your notifications. Whoever has the feed’s address can read them, so treat it like a password.",
    none: "There is no feed address yet.",
    since: "There has been a feed address since {time}; last used: {used}.",
    create: "Create a feed address",
    renew: "New feed address",
    revoke: "Revoke the feed address",
    created: "This is the address of your feed. It is shown this once; an earlier one works no more.",
    feed_title: "Fairtrack: notifications",
    webhooks_intro: "Programs can be told as soon as a notification arises.",
    to_webhooks: "Manage webhooks",
    digest: "Daily summary by mail",
    digest_hint: "In the morning, in your time zone, if there is anything new.",
    digest_subject: "What became of your mail",
    summary: "From {since} to {until} people loaded images {opens} times and followed links {clicks} times.",
    more: "And {n} more.",
    to_report: "To the report",
    honest: "“Loaded” does not mean “read”, and no activity does not mean “not read”.",
    why: "You get this because the daily summary is switched on.",
    stop: "Switch it off in the settings",
};

const DE: Feeds = Feeds {
    title: "Feed und Webhooks",
    intro: "Ein Feedreader kann Ihre Mitteilungen anzeigen. Wer die Adresse des Feeds hat, kann sie lesen; behandeln Sie sie wie ein Passwort.",
    none: "Es gibt noch keine Feed-Adresse.",
    since: "Eine Feed-Adresse gibt es seit {time}; zuletzt benutzt: {used}.",
    create: "Feed-Adresse anlegen",
    renew: "Neue Feed-Adresse",
    revoke: "Feed-Adresse widerrufen",
    created: "Das ist die Adresse Ihres Feeds. Sie wird nur dieses eine Mal gezeigt; eine frühere gilt nicht mehr.",
    feed_title: "Fairtrack: Mitteilungen",
    webhooks_intro: "Programme können sofort erfahren, wenn eine Mitteilung entsteht.",
    to_webhooks: "Webhooks verwalten",
    digest: "Tägliche Zusammenfassung per E-Mail",
    digest_hint: "Morgens, in Ihrer Zeitzone, wenn es Neues gibt.",
    digest_subject: "Was aus Ihrer Post wurde",
    summary: "Von {since}, bis {until}, wurden von Menschen {opens}-mal Bilder geladen und {clicks}-mal Links geöffnet.",
    more: "Und {n} weitere.",
    to_report: "Zum Bericht",
    honest: "„Geladen“ heißt nicht „gelesen“, und keine Aktivität heißt nicht „nicht gelesen“.",
    why: "Sie erhalten dies, weil die tägliche Zusammenfassung eingeschaltet ist.",
    stop: "In den Einstellungen abschalten",
};

const FR: Feeds = Feeds {
    title: "Flux et webhooks",
    intro: "Un lecteur de flux peut afficher vos notifications. Quiconque possède l’adresse du flux peut les lire : traitez-la comme un mot de passe.",
    none: "Il n’y a pas encore d’adresse de flux.",
    since: "Une adresse de flux existe depuis {time} ; dernière utilisation : {used}.",
    create: "Créer une adresse de flux",
    renew: "Nouvelle adresse de flux",
    revoke: "Révoquer l’adresse du flux",
    created: "Voici l’adresse de votre flux. Elle n’est affichée que cette fois ; une adresse antérieure ne fonctionne plus.",
    feed_title: "Fairtrack : notifications",
    webhooks_intro: "Des programmes peuvent être prévenus dès qu’une notification survient.",
    to_webhooks: "Gérer les webhooks",
    digest: "Résumé quotidien par e-mail",
    digest_hint: "Le matin, dans votre fuseau horaire, s’il y a du nouveau.",
    digest_subject: "Ce que sont devenus vos messages",
    summary: "Entre {since} et {until}, des images ont été chargées {opens} fois et des liens suivis {clicks} fois par des personnes.",
    more: "Et {n} de plus.",
    to_report: "Vers le rapport",
    honest: "« Chargé » ne veut pas dire « lu », et l’absence d’activité ne veut pas dire « non lu ».",
    why: "Vous recevez ceci parce que le résumé quotidien est activé.",
    stop: "Le désactiver dans les réglages",
};

const PL: Feeds = Feeds {
    title: "Kanał i webhooki",
    intro: "Czytnik kanałów może pokazywać Twoje powiadomienia. Kto zna adres kanału, może je czytać, więc traktuj go jak hasło.",
    none: "Nie ma jeszcze adresu kanału.",
    since: "Adres kanału istnieje od {time}; ostatnio użyty: {used}.",
    create: "Utwórz adres kanału",
    renew: "Nowy adres kanału",
    revoke: "Unieważnij adres kanału",
    created: "To jest adres Twojego kanału. Pokazujemy go tylko ten jeden raz; wcześniejszy już nie działa.",
    feed_title: "Fairtrack: powiadomienia",
    webhooks_intro: "Programy mogą dowiadywać się od razu, gdy powstaje powiadomienie.",
    to_webhooks: "Zarządzaj webhookami",
    digest: "Codzienne podsumowanie e-mailem",
    digest_hint: "Rano, w Twojej strefie czasowej, jeśli jest coś nowego.",
    digest_subject: "Co stało się z Twoją pocztą",
    summary: "Od {since} do {until} ludzie wczytali obrazy {opens} razy i otworzyli linki {clicks} razy.",
    more: "I jeszcze {n}.",
    to_report: "Do raportu",
    honest: "„Wczytano” nie znaczy „przeczytano”, a brak aktywności nie znaczy „nie przeczytano”.",
    why: "Otrzymujesz tę wiadomość, bo codzienne podsumowanie jest włączone.",
    stop: "Wyłącz je w ustawieniach",
};
