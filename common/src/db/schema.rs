// SPDX-License-Identifier: GPL-3.0-or-later
//! The tables as Diesel sees them: generated from a migrated database, compared with one by a test.

diesel::table! {
    activity (controller_id, user_id, hour) {
        controller_id -> Text,
        user_id -> Uuid,
        hour -> Timestamptz,
        opens -> Int4,
        clicks -> Int4,
        automatic -> Int4,
    }
}

diesel::table! {
    acts (controller_id, seq) {
        controller_id -> Text,
        seq -> Int8,
        at -> Timestamptz,
        actor -> Text,
        act -> Text,
        detail -> Jsonb,
        prev_hash -> Bytea,
        entry_hash -> Bytea,
    }
}

diesel::table! {
    api_tokens (controller_id, user_id, id) {
        controller_id -> Text,
        user_id -> Uuid,
        id -> Uuid,
        name -> Text,
        token_hash -> Bytea,
        created_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    arrivals (due_at, controller_id, id) {
        controller_id -> Text,
        due_at -> Timestamptz,
        id -> Uuid,
        oldest_at -> Timestamptz,
        message_ids -> Array<Uuid>,
    }
}

diesel::table! {
    consent_epochs (controller_id) {
        controller_id -> Text,
        epoch -> Int8,
    }
}

diesel::table! {
    consent_events (controller_id, seq) {
        controller_id -> Text,
        seq -> Int8,
        event_id -> Uuid,
        subject_ref -> Uuid,
        purpose -> Text,
        scope_user -> Nullable<Uuid>,
        state -> Text,
        author -> Text,
        assurance -> Int2,
        at -> Timestamptz,
        effective_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        profile -> Text,
        notice_hash -> Nullable<Bytea>,
        language -> Nullable<Text>,
        method -> Text,
        evidence_sha256 -> Bytea,
        prev_hash -> Bytea,
        entry_hash -> Bytea,
    }
}

diesel::table! {
    consent_evidence (controller_id, seq) {
        controller_id -> Text,
        seq -> Int8,
        subject_ref -> Uuid,
        evidence -> Jsonb,
    }
}

diesel::table! {
    consent_requests (controller_id, request_id) {
        controller_id -> Text,
        request_id -> Uuid,
        user_id -> Uuid,
        address_hash -> Bytea,
        at -> Timestamptz,
    }
}

diesel::table! {
    controllers (id) {
        id -> Text,
        name -> Text,
        address -> Text,
        contact -> Text,
        authority -> Text,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    copies (controller_id, message_id) {
        controller_id -> Text,
        message_id -> Uuid,
        fingerprint -> Bytea,
        opens -> Bool,
        links -> Text,
    }
}

diesel::table! {
    digests (controller_id, user_id) {
        controller_id -> Text,
        user_id -> Uuid,
        day -> Nullable<Date>,
        told_until -> Nullable<Timestamptz>,
        next_at -> Nullable<Timestamptz>,
        failures -> Int2,
    }
}

diesel::table! {
    erasures (controller_id, subject_ref) {
        controller_id -> Text,
        subject_ref -> Uuid,
        at -> Timestamptz,
        address_hash -> Nullable<Bytea>,
    }
}

diesel::table! {
    feed_keys (controller_id, user_id) {
        controller_id -> Text,
        user_id -> Uuid,
        key_hash -> Bytea,
        created_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    hits (controller_id, message_id, at, id) {
        controller_id -> Text,
        message_id -> Uuid,
        at -> Timestamptz,
        id -> Uuid,
        kind -> Text,
        ordinal -> Int2,
        features -> Jsonb,
        class -> Text,
        confidence -> Int2,
        reasons -> Array<Text>,
        rules_version -> Int4,
        settled -> Bool,
        duplicate_of -> Nullable<Uuid>,
    }
}

diesel::table! {
    idempotent_answers (controller_id, user_id, name) {
        controller_id -> Text,
        user_id -> Uuid,
        name -> Text,
        request_hash -> Bytea,
        claimed_at -> Timestamptz,
        status -> Nullable<Int2>,
        body -> Nullable<Bytea>,
    }
}

diesel::table! {
    links (controller_id, message_id, ordinal) {
        controller_id -> Text,
        message_id -> Uuid,
        ordinal -> Int2,
        host -> Text,
        label -> Text,
        click_count -> Int4,
    }
}

diesel::table! {
    message_recipients (controller_id, message_id, subject_ref) {
        controller_id -> Text,
        message_id -> Uuid,
        subject_ref -> Uuid,
    }
}

diesel::table! {
    messages (controller_id, id) {
        controller_id -> Text,
        id -> Uuid,
        user_id -> Uuid,
        queue_id -> Text,
        message_id_header -> Nullable<Text>,
        subject -> Text,
        sent_at -> Timestamptz,
        opens -> Bool,
        links -> Bool,
        reason -> Nullable<Text>,
        record -> Nullable<Jsonb>,
        muted -> Bool,
        open_count -> Int4,
        first_open_at -> Nullable<Timestamptz>,
        last_open_at -> Nullable<Timestamptz>,
        click_count -> Int4,
        first_click_at -> Nullable<Timestamptz>,
        last_click_at -> Nullable<Timestamptz>,
        automatic_count -> Int4,
        stopped_at -> Nullable<Timestamptz>,
        settled_until -> Nullable<Timestamptz>,
        frozen -> Bool,
        exchanger -> Nullable<Text>,
        unclear_opens -> Int4,
        unclear_clicks -> Int4,
        to_several -> Bool,
    }
}

diesel::table! {
    notices (controller_id, hash) {
        controller_id -> Text,
        hash -> Bytea,
        kind -> Text,
        version -> Int4,
        language -> Text,
        body -> Text,
        valid_from -> Timestamptz,
    }
}

diesel::table! {
    notifications (controller_id, user_id, id) {
        controller_id -> Text,
        user_id -> Uuid,
        id -> Int8,
        message_id -> Nullable<Uuid>,
        kind -> Text,
        ordinal -> Nullable<Int2>,
        detail -> Nullable<Text>,
        at -> Timestamptz,
        read_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    recipient_links (controller_id, token_hash) {
        controller_id -> Text,
        token_hash -> Bytea,
        subject_ref -> Uuid,
        scope_user -> Nullable<Uuid>,
        request_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        acts -> Int4,
    }
}

diesel::table! {
    sessions (controller_id, token_hash) {
        controller_id -> Text,
        token_hash -> Bytea,
        user_id -> Uuid,
        csrf -> Bytea,
        created_at -> Timestamptz,
        seen_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    settlements (controller_id, message_id) {
        controller_id -> Text,
        message_id -> Uuid,
        due_at -> Timestamptz,
        oldest_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sign_in_links (controller_id, token_hash) {
        controller_id -> Text,
        token_hash -> Bytea,
        login -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    subjects (controller_id, subject_ref) {
        controller_id -> Text,
        subject_ref -> Uuid,
        address -> Text,
        base_address -> Text,
        restricted -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    suppressions (controller_id, address_hash) {
        controller_id -> Text,
        address_hash -> Bytea,
        since -> Timestamptz,
    }
}

diesel::table! {
    users (controller_id, id) {
        controller_id -> Text,
        id -> Uuid,
        login -> Text,
        display_name -> Nullable<Text>,
        enabled -> Bool,
        is_admin -> Bool,
        opens -> Bool,
        links -> Bool,
        text_links -> Bool,
        notifications -> Text,
        digest -> Text,
        remember_choice -> Bool,
        language -> Nullable<Text>,
        time_zone -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_deliveries (controller_id, user_id, webhook_id, id) {
        controller_id -> Text,
        user_id -> Uuid,
        webhook_id -> Uuid,
        id -> Uuid,
        notification_id -> Int8,
        created_at -> Timestamptz,
        attempts -> Int2,
        next_at -> Nullable<Timestamptz>,
        tried_at -> Nullable<Timestamptz>,
        delivered_at -> Nullable<Timestamptz>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    webhooks (controller_id, user_id, id) {
        controller_id -> Text,
        user_id -> Uuid,
        id -> Uuid,
        url -> Text,
        generation -> Int4,
        rotated_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        failing_since -> Nullable<Timestamptz>,
        failed_at -> Nullable<Timestamptz>,
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    withdrawal_keys (controller_id, message_id) {
        controller_id -> Text,
        message_id -> Uuid,
        subject_ref -> Uuid,
        user_id -> Uuid,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    activity,
    acts,
    api_tokens,
    arrivals,
    consent_epochs,
    consent_events,
    consent_evidence,
    consent_requests,
    controllers,
    copies,
    digests,
    erasures,
    feed_keys,
    hits,
    idempotent_answers,
    links,
    message_recipients,
    messages,
    notices,
    notifications,
    recipient_links,
    sessions,
    settlements,
    sign_in_links,
    subjects,
    suppressions,
    users,
    webhook_deliveries,
    webhooks,
    withdrawal_keys,
);
