-- all_kinds: of which kinds offline records are due where all of them are; as in kinds, those of data feeds are a kind of their own.
-- Reads: offline.
SELECT DISTINCT CASE source WHEN 'data_feed' THEN 'data_feed' ELSE kind END AS kind FROM offline
