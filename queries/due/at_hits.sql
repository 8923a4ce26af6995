-- The visitors' keys of integrated rows that stand at a hit at which records that are due may come to stand, by any ID of the hit.
-- Reads: former_integrated, places_at_hits.
SELECT former.visitor_key FROM former_integrated AS former
WHERE former.stands_at_hit AND EXISTS (
  SELECT 1 FROM places_at_hits AS place WHERE place.suite = former.suite AND place.visitor_key = former.visitor_key
    AND place.visitor_id = former.visitor_id AND place.hit_time = former.hit_time AND place.hit_seq = former.hit_seq)
