-- due_offline: the offline records to be integrated: those of stale ids, and new ones that no id ties to others; of a row that several
-- loads brought the one that counts. Reads: offline_once, came_offline_once, again_places, stale.
SELECT offline.* FROM offline_once AS offline
WHERE offline.kind IN ('transaction', 'customer') AND EXISTS (
  SELECT 1 FROM stale WHERE stale.suite = offline.suite AND stale.kind = offline.kind
    AND stale.id = trim(CASE offline.kind WHEN 'customer' THEN offline.customer_id ELSE offline.transaction_id END))
UNION ALL
SELECT came.* FROM came_offline_once AS came
WHERE CASE came.kind WHEN 'customer' THEN came.customer_id WHEN 'transaction' THEN came.transaction_id END IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM again_places AS place WHERE place.suite = came.suite AND place.hit_time = came.hit_time
      AND place.hit_seq = came.hit_seq)
