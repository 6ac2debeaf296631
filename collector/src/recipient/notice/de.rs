// SPDX-License-Identifier: GPL-3.0-or-later
//! German.

use super::Wording;

pub(super) const WORDING: Wording = Wording {
    sections: &[
        (
            "Wer verantwortlich ist",
            &["{controller}, {postal}. Kontakt: {contact}.", "{dpo}"],
        ),
        (
            "Was aufgezeichnet wird, wenn Sie es erlauben",
            &[
                "Geladene Bilder: wann die Bilder einer Nachricht geladen werden. Ein geladenes Bild zeigt nicht, dass jemand die Nachricht gelesen hat.",
                "Aufgerufene Links: wann ein Link aufgerufen wird und welcher (seine Nummer, sein Host und sein sichtbarer Text, nicht die vollständige Adresse).",
                "Bei beidem: die Art des Mailprogramms oder Bild-Proxys, eine grobe Bezeichnung des Netzes (etwa „Mobilfunk“, „Rechenzentrum“ oder der Name eines Bild-Proxys) und ob vermutlich ein Mensch oder eine Maschine dahintersteht.",
                "Zu jeder solchen Nachricht: Absender, Empfänger, Betreff und Zeitpunkt des Versands.",
                "Dafür enthält die Nachricht ein kleines Bild und Links, die über {host} führen. Eine Zeile in der Nachricht weist darauf hin.",
            ],
        ),
        (
            "Was nicht aufgezeichnet wird",
            &[
                "Keine IP-Adresse, kein Ort, kein Name Ihres Geräts oder Browsers, keine vollständige Linkadresse, kein Cookie. Ihre IP-Adresse und das, was Ihr Programm über sich selbst mitteilt, dienen einen Augenblick lang dazu, Menschen von Maschinen zu unterscheiden, und werden dann vergessen.",
            ],
        ),
        ("Auf welcher Grundlage", &["{basis}", "{attested}"]),
        (
            "Woher Ihre Adresse stammt",
            &["Vom Absender, der Ihnen schreibt."],
        ),
        (
            "Wer es sieht",
            &[
                "Der Absender der Nachricht. Administratoren sehen nur Summen; ein genauerer Blick braucht einen Grund und wird festgehalten.",
                "Die Daten bleiben auf den Servern von {controller} und derer, die sie im Auftrag betreiben. Das Programm sendet sie nirgendwo sonst hin, und sie dienen nicht der Werbung.",
            ],
        ),
        (
            "Wie lange",
            &[
                "Aufgezeichnet wird nur, was innerhalb von {window} Tagen nach dem Versand geschieht. Es wird {hits} Tage danach gelöscht, Nachrichten nach {messages} Tagen.",
                "Eine Erlaubnis endet nach {grant} Tagen. Der Nachweis Ihrer Wahl wird nach deren Ende {proof} Tage aufbewahrt; ein zugesandter Link gilt 30 Minuten, der in einer Anfrage 30 Tage.",
            ],
        ),
        (
            "Es ist freiwillig",
            &[
                "Weder ein Gesetz noch ein Vertrag verlangt, dass Sie etwas erlauben. Ihre Post kommt genauso an, ob Sie erlauben oder ablehnen. Schweigen bedeutet Nein.",
            ],
        ),
        (
            "Widerruf",
            &[
                "Jederzeit, mit einem Knopf und ohne Begründung, über den Link in jeder solchen Nachricht. Der Widerruf gilt auch für Nachrichten, die Sie schon haben: Alte Bilder und Links funktionieren weiter, werden aber nicht mehr aufgezeichnet, und das Aufgezeichnete wird gelöscht. Was zuvor geschah, bleibt rechtmäßig.",
            ],
        ),
        (
            "Ihre Rechte",
            &[
                "Sie können Ihre Daten einsehen, eine Kopie zum Mitnehmen erhalten, sie berichtigen, löschen oder ihre Verarbeitung einschränken lassen und widersprechen. Das meiste können Sie auf dieser Website selbst tun, mit einem an Ihre Adresse gesandten Link; für alles andere schreiben Sie an {contact}. Es wird nichts automatisiert über Sie entschieden.",
                "Sie können sich bei {authority} beschweren oder bei der Datenschutzbehörde Ihres Wohn- oder Arbeitsorts.",
            ],
        ),
    ],
    dpo: "Datenschutzbeauftragte Person: {dpo}.",
    basis_consent: "Ihre Einwilligung: Artikel 6 Absatz 1 Buchstabe a DSGVO in Verbindung mit § 25 Absatz 1 TDDDG und Artikel 5 Absatz 3 der Richtlinie 2002/58/EG.",
    basis_other: "{basis} Sie können trotzdem ablehnen oder widerrufen; das wird befolgt.",
    attested: "Wenn Sie auf anderem Weg zugestimmt haben, etwa auf Papier, hat {controller} festgehalten, wann, wie und mit welchem Beleg. Sie finden das bei Ihren Daten und können es hier widerrufen.",
};
