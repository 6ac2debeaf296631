DROP TRIGGER messages_epoch ON messages;
DROP TRIGGER subjects_epoch ON subjects;
DROP TRIGGER suppressions_epoch ON suppressions;
DROP TRIGGER consent_events_epoch ON consent_events;
DROP FUNCTION consent_changed();
DROP FUNCTION start_consent_epoch(text);
DROP TABLE consent_epochs;
