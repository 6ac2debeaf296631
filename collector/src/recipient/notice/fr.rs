// SPDX-License-Identifier: GPL-3.0-or-later
//! French.

use super::Wording;

pub(super) const WORDING: Wording = Wording {
    sections: &[
        (
            "Qui est responsable",
            &["{controller}, {postal}. Contact : {contact}.", "{dpo}"],
        ),
        (
            "Ce qui est enregistré si vous l’autorisez",
            &[
                "Images chargées : le moment où les images d’un message sont chargées. Une image chargée ne prouve pas que quelqu’un a lu le message.",
                "Liens ouverts : le moment où un lien est ouvert, et lequel (son numéro, son hôte et son texte visible, pas son adresse complète).",
                "Dans les deux cas : le type de messagerie ou de relais d’images, une désignation sommaire du réseau (par exemple « mobile », « centre de données » ou le nom d’un relais d’images) et si une personne ou une machine semble en être à l’origine.",
                "Pour chacun de ces messages : l’expéditeur, les destinataires, l’objet et l’heure d’envoi.",
                "Pour cela, le message contient une petite image et des liens qui passent par {host}. Une ligne du message l’indique.",
            ],
        ),
        (
            "Ce qui n’est pas enregistré",
            &[
                "Ni adresse IP, ni lieu, ni nom de votre appareil ou de votre navigateur, ni adresse complète des liens, ni cookie. Votre adresse IP et ce que votre logiciel dit de lui-même servent un instant à distinguer les personnes des machines, puis sont oubliés.",
            ],
        ),
        ("Sur quelle base", &["{basis}", "{attested}"]),
        (
            "D’où vient votre adresse",
            &["De l’expéditeur, qui vous écrit."],
        ),
        (
            "Qui le voit",
            &[
                "L’expéditeur du message. Les administrateurs ne voient que des totaux ; y regarder de plus près exige un motif, qui est consigné.",
                "Les données restent sur les serveurs de {controller} et de ceux qui les exploitent pour son compte. Le programme ne les envoie nulle part ailleurs, et elles ne servent pas à la publicité.",
            ],
        ),
        (
            "Combien de temps",
            &[
                "Seul ce qui se produit dans les {window} jours suivant l’envoi est enregistré. Les données sont effacées au bout de {hits} jours, et les messages au bout de {messages} jours.",
                "Une autorisation prend fin au bout de {grant} jours. La preuve de votre choix est conservée {proof} jours après sa fin ; un lien envoyé sert 30 minutes, celui d’un message de demande 30 jours.",
            ],
        ),
        (
            "C’est facultatif",
            &[
                "Ni la loi ni un contrat ne vous obligent à autoriser quoi que ce soit. Votre courrier arrive de la même façon, que vous autorisiez ou refusiez. Le silence vaut refus.",
            ],
        ),
        (
            "Retirer votre accord",
            &[
                "À tout moment, d’un seul bouton et sans motif, par le lien de chaque message concerné. Cela vaut aussi pour les messages que vous avez déjà : les anciennes images et les anciens liens fonctionnent toujours mais ne sont plus enregistrés, et ce qui l’a été est effacé. Ce qui a été fait auparavant reste licite.",
            ],
        ),
        (
            "Vos droits",
            &[
                "Vous pouvez consulter vos données, en obtenir une copie à emporter, les faire rectifier ou effacer, en limiter le traitement et vous y opposer. Vous pouvez faire l’essentiel vous-même sur ce site, avec un lien envoyé à votre adresse ; pour le reste, écrivez à {contact}. Aucune décision automatisée n’est prise à votre sujet.",
                "Vous pouvez introduire une réclamation auprès de {authority}, ou de l’autorité de protection des données de votre lieu de résidence ou de travail.",
            ],
        ),
    ],
    dpo: "Délégué à la protection des données : {dpo}.",
    basis_consent: "Votre consentement : article 6, paragraphe 1, point a), du RGPD, avec l’article 82 de la loi Informatique et Libertés et l’article 5, paragraphe 3, de la directive 2002/58/CE.",
    basis_other: "{basis} Vous pouvez néanmoins refuser ou retirer votre accord, et il en est tenu compte.",
    attested: "Si vous avez donné votre accord autrement, par exemple sur papier, {controller} a consigné quand, comment et sur quelle preuve. Vous le trouverez parmi vos données et pouvez le retirer ici.",
};
