// SPDX-License-Identifier: GPL-3.0-or-later
//! French.

use super::{Common, Errors, Notification, SignIn, Texts};

pub(super) static TEXTS: Texts = Texts {
    common: Common {
        navigation: "Navigation principale",
        report: "Rapport",
        notifications: "Notifications",
        contacts: "Contacts",
        settings: "Réglages",
        bell: "Notifications, non lues : {n}",
        sign_out: "Se déconnecter",
        back: "Retour",
        no_subject: "(sans objet)",
    },
    errors: Errors {
        bad_request: (
            "Demande incompréhensible",
            "Une partie de la demande n’a pas pu être lue. Revenez en arrière et réessayez.",
        ),
        foreign: (
            "Veuillez recommencer depuis notre page",
            "Le formulaire vient d’ailleurs, ou votre session a changé depuis l’ouverture de la page. Rechargez la page et envoyez-le de nouveau.",
        ),
        not_found: (
            "Il n’y a rien ici",
            "La page n’existe pas ou appartient à quelqu’un d’autre. Les anciens messages sont supprimés après le délai fixé par votre organisation.",
        ),
        too_often: (
            "Trop de demandes",
            "Veuillez patienter un peu avant de réessayer.",
        ),
        unavailable: (
            "Momentanément indisponible",
            "Votre messagerie n’est pas touchée. Veuillez réessayer dans une minute.",
        ),
        other: (
            "Un problème est survenu",
            "La faute est la nôtre, pas la vôtre, et elle a été consignée. Votre messagerie n’est pas touchée.",
        ),
    },
    notification: Notification {
        first_open: "« {subject} » a été ouvert",
        first_click: "« {subject} » : le lien « {link} » a été suivi",
        repeat_open: "« {subject} » a été rouvert après un certain temps",
        warning: "Un choix dans un message n’a pas été compris et a été considéré comme un non : {detail}",
        a_link: "un lien",
    },
    sign_in: SignIn {
        title: "Connexion",
        intro: "Indiquez votre adresse e-mail. Vous recevrez un lien qui vous connecte ; il n’y a pas de mot de passe.",
        address: "Votre adresse e-mail",
        send: "Recevoir un lien",
        sent_title: "Consultez votre boîte de réception",
        sent: "Si cette adresse a accès à ce service, un lien est en route. Il fonctionne une seule fois, pendant {minutes} minutes.",
        sent_hint: "Toujours rien après quelques minutes ? Vérifiez l’adresse, regardez dans le courrier indésirable ou demandez à votre administrateur si vous avez accès.",
        confirm_title: "Connexion",
        confirm: "Vous avez ouvert le lien de notre message. Une pression sur le bouton suffit.",
        confirm_button: "Se connecter",
        dead_title: "Ce lien ne fonctionne plus",
        dead: "Chaque lien fonctionne une seule fois et peu de temps. Demandez-en un nouveau.",
        again: "Obtenir un nouveau lien",
        by_portal: "La connexion passe par le portail de votre organisation. Ouvrez Fairtrack à partir de là.",
        mail_subject: "Votre lien de connexion",
        mail_text: "Bonjour,\n\nouvrez ce lien pour vous connecter à Fairtrack :\n\n{link}\n\nIl fonctionne une seule fois, pendant {minutes} minutes.\n\nSi vous ne l’avez pas demandé, ignorez ce message : sans lui, personne ne peut se connecter.\n",
    },
};
