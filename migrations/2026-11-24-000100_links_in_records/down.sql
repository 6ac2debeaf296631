COMMENT ON TABLE links IS 'Tracked links of a message: number, host and visible text; never the destination, which stands in the link itself';
DROP VIEW tracked_links;
