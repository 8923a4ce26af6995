-- kinds: of which kinds offline records may be due; those of data feeds, integrated before, are a kind of their own, which
-- hangs on transaction IDs and on what else the lake holds of a row, too.
-- Reads: came_offline, stale, again_places.
SELECT CASE source WHEN 'data_feed' THEN 'data_feed' ELSE kind END AS kind FROM came_offline
UNION
SELECT kind FROM stale
UNION
SELECT 'data_feed' FROM stale WHERE kind = 'transaction'
UNION
SELECT 'data_feed' FROM again_places
