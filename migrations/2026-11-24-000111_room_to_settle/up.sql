-- Messages that were sent together are often hit together, and settled in one transaction. Where their page has no room
-- for the new versions, each of them moves, and is entered into every index again: with little room three in four do.
ALTER TABLE messages SET (fillfactor = 60);
