DROP TABLE recipient_links;
DROP TABLE suppressions;
DROP TABLE consent_evidence;
DROP TABLE consent_events;
DROP TABLE notices;
DROP FUNCTION refuse_change();
