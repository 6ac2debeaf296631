#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Configures and starts the Postfix of the compose file: what "fairtrackctl postfix" prints, for a milter at TCP.
set -eu

cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
postconf -e "myhostname=${MAIL_HOST:-mail.example.com}" mydestination= alias_maps= inet_interfaces=all maillog_file=/dev/stdout \
    smtpd_sasl_path=smtpd "smtpd_sasl_local_domain=${MAIL_DOMAIN:-example.com}" "relayhost=${RELAY_HOST:-}" \
    'mynetworks=127.0.0.0/8 172.16.0.0/12' 'milter_macro_defaults=message_size_limit=$message_size_limit' \
    'fairtrack_milter={ inet:milter:8892, connect_timeout=3s, command_timeout=5s, content_timeout=20s, default_action=accept }' \
    'fairtrack_submission_milters=$fairtrack_milter'
postconf -M 'submission/inet=submission inet n - n - - smtpd' 'postlog/unix-dgram=postlog unix-dgram n - n - 1 postlogd'
postconf -P submission/inet/smtpd_sasl_auth_enable=yes \
    submission/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject \
    'submission/inet/smtpd_milters=$fairtrack_submission_milters'
mkdir -p /etc/postfix/sasl
printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n' >/etc/postfix/sasl/smtpd.conf
printf %s "${ALICE_PASSWORD:-secret}" | saslpasswd2 -p -c -u "${MAIL_DOMAIN:-example.com}" alice
chown postfix /etc/sasldb2
exec postfix start-fg
