// SPDX-License-Identifier: GPL-3.0-or-later
//! Polish.

use super::{Common, Errors, Notification, SignIn, Texts};

pub(super) static TEXTS: Texts = Texts {
    common: Common {
        navigation: "Główna",
        report: "Raport",
        notifications: "Powiadomienia",
        contacts: "Kontakty",
        settings: "Ustawienia",
        bell: "Powiadomienia, nieprzeczytane: {n}",
        sign_out: "Wyloguj",
        back: "Wstecz",
        no_subject: "(bez tematu)",
    },
    errors: Errors {
        bad_request: (
            "Nie udało się tego zrozumieć",
            "Części żądania nie dało się odczytać. Wróć i spróbuj ponownie.",
        ),
        foreign: (
            "Spróbuj ponownie z naszej strony",
            "Formularz został wysłany z innego miejsca albo sesja zmieniła się od czasu otwarcia strony. Odśwież stronę i wyślij jeszcze raz.",
        ),
        not_found: (
            "Tu nic nie ma",
            "Strona nie istnieje albo należy do kogoś innego. Stare wiadomości są usuwane po czasie ustalonym przez Twoją organizację.",
        ),
        too_often: (
            "Zbyt wiele żądań",
            "Odczekaj chwilę, zanim spróbujesz ponownie.",
        ),
        unavailable: (
            "Chwilowo niedostępne",
            "Twoja poczta działa bez zmian. Spróbuj ponownie za minutę.",
        ),
        other: (
            "Coś poszło nie tak",
            "To nasz błąd, nie Twój, i został zapisany. Twoja poczta działa bez zmian.",
        ),
    },
    notification: Notification {
        first_open: "Otwarto wiadomość „{subject}”",
        first_click: "„{subject}”: kliknięto link „{link}”",
        repeat_open: "Po przerwie ponownie otwarto „{subject}”",
        warning: "Wyboru w wiadomości nie udało się zrozumieć, więc przyjęto „nie”: {detail}",
        a_link: "link",
    },
    sign_in: SignIn {
        title: "Logowanie",
        intro: "Podaj swój adres e-mail. Otrzymasz link, który Cię zaloguje; hasła nie ma.",
        address: "Twój adres e-mail",
        send: "Wyślij mi link",
        sent_title: "Zajrzyj do skrzynki",
        sent: "Jeśli ten adres ma tu dostęp, link jest już w drodze. Działa raz, przez {minutes} minut.",
        sent_hint: "Po kilku minutach nadal nic? Sprawdź adres, zajrzyj do spamu albo zapytaj administratora, czy masz dostęp.",
        confirm_title: "Logowanie",
        confirm: "To link z naszej wiadomości. Jedno naciśnięcie i gotowe.",
        confirm_button: "Zaloguj teraz",
        dead_title: "Ten link już nie działa",
        dead: "Każdy link działa raz i tylko przez krótki czas. Wyślij sobie nowy.",
        again: "Nowy link",
        by_portal: "Loguje Cię portal Twojej organizacji. Otwórz Fairtrack stamtąd.",
        mail_subject: "Twój link do logowania",
        mail_text: "Dzień dobry,\n\naby zalogować się do Fairtrack, otwórz ten link:\n\n{link}\n\nDziała raz, przez {minutes} minut.\n\nJeśli to nie Ty o niego prosisz, zignoruj tę wiadomość: bez niej nikt się nie zaloguje.\n",
    },
};
