DROP FUNCTION keep_hits;
INSERT INTO settlements AS old (controller_id, message_id, due_at)
SELECT controller_id, message_id, min(due_at)
FROM arrivals, unnest(message_ids) AS message_id
WHERE EXISTS (SELECT FROM messages WHERE messages.controller_id = arrivals.controller_id AND id = message_id)
GROUP BY controller_id, message_id
ON CONFLICT (controller_id, message_id) DO UPDATE SET due_at = least(old.due_at, excluded.due_at);
DROP TABLE arrivals;
ALTER TABLE settlements DROP COLUMN oldest_at;
COMMENT ON TABLE settlements IS 'Messages with hits whose verdicts are to be settled, and when';
UPDATE hits SET settled = false FROM messages
WHERE hits.settled AND messages.controller_id = hits.controller_id AND messages.id = hits.message_id
    AND (hits.at <= messages.settled_until) IS NOT TRUE;
COMMENT ON COLUMN hits.settled IS 'Whether the verdict has seen later hits; nothing notifies before';
ALTER TABLE messages DROP COLUMN settled_until;
DROP TRIGGER messages_forget_hits ON messages;
DROP FUNCTION forget_hits();
DROP TRIGGER messages_before_forgetting ON messages;
DROP FUNCTION before_forgetting();
ALTER TABLE hits ADD FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE;
ALTER TABLE settlements ADD FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE;
