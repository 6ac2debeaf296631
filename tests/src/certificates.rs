// SPDX-License-Identifier: GPL-3.0-or-later
//! Certificates for servers of tests, made by `openssl`.

use std::process::Command;

use crate::{scratch::Scratch, server::run};

/// Makes an authority and a certificate of its making: the files `authority`, `certificate` and `key`.
pub fn certify(scratch: &Scratch, names: &[&str], days: u32) {
    let place = |name: &str| scratch.path().join(name).display().to_string();
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let extensions = scratch.write(
        "extensions",
        format!("subjectAltName={}\n", names.join(",")),
    );
    let openssl = |arguments: &[&str]| {
        run(scratch, Command::new("openssl").args(arguments));
    };
    let days = days.to_string();
    let (authority, authority_key) = (place("authority"), place("authority.key"));
    let (request, key, certificate) = (place("request"), place("key"), place("certificate"));
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"];
    openssl(
        &[
            &new[..],
            &[
                "/CN=authority",
                "-x509",
                "-days",
                "30",
                "-keyout",
                &authority_key,
                "-out",
                &authority,
            ],
        ]
        .concat(),
    );
    openssl(&[&new[..], &["/CN=host", "-keyout", &key, "-out", &request]].concat());
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &authority,
        "-CAkey",
        &authority_key,
        "-days",
        &days,
        "-extfile",
        &extensions.display().to_string(),
        "-out",
        &certificate,
    ]);
}
