-- A message to several people stands for none of them, also when the others were erased since.
ALTER TABLE messages ADD COLUMN to_several boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN messages.to_several IS 'Whether it went to more people than are named: others were erased';
UPDATE messages SET to_several = true FROM erasures
WHERE erasures.controller_id = messages.controller_id AND erasures.at = messages.stopped_at;
