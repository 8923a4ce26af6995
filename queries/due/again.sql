-- again: the visitors of changed hits that another load holds, too, before or after: it changes which row of a hit counts.
-- Hits with a key of the user's own, whose rests lie above all others, are one whatever their times. Reads: changed_hits, near_hits.
SELECT DISTINCT visitor_key FROM (
  SELECT changed.visitor_key FROM changed_hits AS changed
  JOIN near_hits AS near ON near.visitor_key = changed.visitor_key AND near.hit_time = changed.hit_time
    AND near.hit_seq = changed.hit_seq AND near.hit_id_rest = changed.hit_id_rest
    AND near.suite = changed.suite AND near.visitor_id = changed.visitor_id
  WHERE near.file <> changed.file
  UNION ALL
  SELECT changed.visitor_key FROM changed_hits AS changed
  JOIN near_hits AS near ON near.visitor_key = changed.visitor_key
    AND near.hit_seq = changed.hit_seq AND near.hit_id_rest = changed.hit_id_rest
    AND near.suite = changed.suite AND near.visitor_id = changed.visitor_id
  WHERE near.file <> changed.file AND changed.hit_id_rest >= 4611686018427387904
)