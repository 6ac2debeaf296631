DROP TRIGGER activity_tell ON activity;
DROP TRIGGER notifications_tell ON notifications;
DROP FUNCTION tell_activity();
DROP INDEX notifications_unread;
