CREATE INDEX notifications_unread ON notifications (controller_id, user_id, id) WHERE read_at IS NULL;

-- Tells every collector at commit; equal words of one transaction are sent once.
CREATE FUNCTION tell_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fairtrack_activity', NEW.controller_id || ' ' || NEW.user_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_activity() IS 'Says whose data changed, for pages that are open';
CREATE TRIGGER notifications_tell AFTER INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION tell_activity();
CREATE TRIGGER activity_tell AFTER INSERT OR UPDATE ON activity FOR EACH ROW EXECUTE FUNCTION tell_activity();
