// SPDX-License-Identifier: GPL-3.0-or-later
//! Polish.

use super::Wording;

pub(super) const WORDING: Wording = Wording {
    sections: &[
        (
            "Kto odpowiada za dane",
            &[
                "Administratorem danych jest {controller}, {postal}. Kontakt: {contact}.",
                "{dpo}",
            ],
        ),
        (
            "Co się rejestruje, jeśli na to zezwolisz",
            &[
                "Wczytanie obrazów: kiedy wczytano obrazy wiadomości. Wczytany obraz nie oznacza, że ktoś wiadomość przeczytał.",
                "Otwarcie łączy: kiedy otwarto łącze i które (jego numer, host i widoczny tekst, bez pełnego adresu).",
                "W obu przypadkach: rodzaj programu pocztowego lub pośrednika obrazów, ogólne określenie sieci (na przykład „sieć komórkowa”, „centrum danych” albo nazwa pośrednika obrazów) oraz to, czy prawdopodobnie stoi za tym człowiek, czy automat.",
                "O każdej takiej wiadomości: nadawca, odbiorcy, temat i czas wysłania.",
                "W tym celu wiadomość zawiera mały obraz i łącza, które prowadzą przez {host}. Informuje o tym wiersz w wiadomości.",
            ],
        ),
        (
            "Czego się nie rejestruje",
            &[
                "Żadnego adresu IP, miejsca, nazwy urządzenia ani przeglądarki, pełnego adresu łącza ani plików cookie. Twój adres IP oraz to, co program podaje o sobie, służą przez chwilę do odróżnienia ludzi od automatów, a potem są zapominane.",
            ],
        ),
        ("Na jakiej podstawie", &["{basis}", "{attested}"]),
        (
            "Skąd pochodzi Twój adres",
            &["Od nadawcy, który do Ciebie pisze."],
        ),
        (
            "Kto to widzi",
            &[
                "Nadawca wiadomości. Administratorzy systemu widzą tylko sumy; dokładniejszy wgląd wymaga powodu i jest odnotowywany.",
                "Dane pozostają na serwerach, które prowadzi {controller}, i tych, które działają na zlecenie. Program nie wysyła ich nigdzie indziej i nie służą one reklamie.",
            ],
        ),
        (
            "Jak długo",
            &[
                "Rejestruje się tylko to, co dzieje się w ciągu {window} dni od wysłania. Usuwa się to po {hits} dniach od zdarzenia, a wiadomości po {messages} dniach.",
                "Zgoda wygasa po {grant} dniach. Dowód Twojego wyboru przechowuje się przez {proof} dni po jego zakończeniu; przesłane łącze działa 30 minut, a łącze w wiadomości z pytaniem 30 dni.",
            ],
        ),
        (
            "To dobrowolne",
            &[
                "Ani prawo, ani umowa nie wymagają, aby na cokolwiek zezwalać. Twoja poczta dociera tak samo przy zgodzie i przy odmowie. Milczenie oznacza „nie”.",
            ],
        ),
        (
            "Cofnięcie zgody",
            &[
                "W każdej chwili, jednym przyciskiem i bez podawania przyczyny, łączem w każdej takiej wiadomości. Dotyczy to też wiadomości, które już masz: dawne obrazy i łącza nadal działają, ale nie są już rejestrowane, a to, co zarejestrowano, zostaje usunięte. To, co zrobiono wcześniej, pozostaje zgodne z prawem.",
            ],
        ),
        (
            "Twoje prawa",
            &[
                "Możesz zobaczyć swoje dane, otrzymać ich kopię do przeniesienia, sprostować je, usunąć, ograniczyć ich przetwarzanie i wnieść sprzeciw. Większość zrobisz samodzielnie na tej stronie, łączem wysłanym na Twój adres; w pozostałych sprawach napisz: {contact}. Nie podejmuje się wobec Ciebie zautomatyzowanych decyzji.",
                "Możesz złożyć skargę: {authority}, albo do organu ochrony danych w miejscu zamieszkania lub pracy.",
            ],
        ),
    ],
    dpo: "Inspektor ochrony danych: {dpo}.",
    basis_consent: "Twoja zgoda: art. 6 ust. 1 lit. a RODO w związku z art. 399 Prawa komunikacji elektronicznej i art. 5 ust. 3 dyrektywy 2002/58/WE.",
    basis_other: "{basis} Mimo to możesz odmówić lub cofnąć zgodę i zostanie to uszanowane.",
    attested: "Jeśli zgodę wyrażono w inny sposób, na przykład na papierze, {controller} przechowuje zapis, kiedy, jak i na jakiej podstawie. Znajdziesz go wśród swoich danych i możesz ją tu cofnąć.",
};
