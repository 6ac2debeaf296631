ALTER TABLE recipient_links DROP COLUMN acts;
DROP TABLE acts, erasures, withdrawal_keys, consent_requests;
DROP FUNCTION refuse_change_of_young_act();
