-- changed_offline, with the rows of feeds in the places where other loads hold some, too: any of them may count now or no more.
-- Reads: changed_offline, near_offline, again_places.
SELECT * FROM changed_offline
UNION ALL
SELECT near_offline.* FROM near_offline
WHERE near_offline.hit_id_rest IS NOT NULL AND EXISTS (
  SELECT 1 FROM again_places AS place WHERE place.suite = near_offline.suite
    AND place.hit_time = near_offline.hit_time AND place.hit_seq = near_offline.hit_seq)
