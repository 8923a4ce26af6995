-- Offline rows without an id in places where rows of feeds are due, whichever load brought them. Those with an id are of a stale one.
-- Reads: offline_once, again_places.
SELECT offline.* FROM offline_once AS offline
WHERE EXISTS (
  SELECT 1 FROM again_places AS place WHERE place.suite = offline.suite AND place.hit_time = offline.hit_time
    AND place.hit_seq = CASE WHEN offline.kind = 'summary' OR offline.transaction_id IS NULL THEN offline.hit_seq END)
