-- again_places: where a row that a feed brought integrated came or went, and another load holds a row, too, before or after: of the rows
-- of one hit id another may count now, and rows in one place have one order, that of a file. Reads: changed_offline, near_offline.
SELECT DISTINCT changed.suite, changed.hit_time, changed.hit_seq FROM changed_offline AS changed
JOIN near_offline AS near ON near.suite = changed.suite AND near.visitor_key = changed.visitor_key
  AND near.hit_time = changed.hit_time AND near.hit_seq = changed.hit_seq
WHERE near.file <> changed.file AND near.hit_id_rest IS NOT NULL AND changed.hit_id_rest IS NOT NULL
