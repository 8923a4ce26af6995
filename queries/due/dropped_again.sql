-- The visitors' keys of integrated rows without an id in places where rows of feeds are due. Those with an id are of a stale one.
-- Reads: former_integrated, again_places.
SELECT former.visitor_key FROM former_integrated AS former
WHERE EXISTS (
  SELECT 1 FROM again_places AS place WHERE place.suite = former.suite AND place.hit_time = former.hit_time
    AND place.hit_seq = CASE WHEN former.row_kind = 'summary' OR former.transaction_id IS NULL THEN former.hit_seq END)
