-- The integrated rows that stay as they are. Reads: former_integrated, stale, gone_offline, again_places.
SELECT former.* FROM former_integrated AS former
WHERE NOT EXISTS (SELECT 1 FROM gone_offline AS gone
                  WHERE gone.suite = former.suite AND gone.source = former.source AND gone.file = former.file)
  AND NOT EXISTS (
    SELECT 1 FROM stale WHERE stale.suite = former.suite AND stale.kind = former.row_kind
      AND stale.id = CASE former.row_kind WHEN 'customer' THEN former.customer_id ELSE former.transaction_id END)
  AND NOT EXISTS (
    SELECT 1 FROM again_places AS place WHERE place.suite = former.suite AND place.hit_time = former.hit_time
      AND place.hit_seq = CASE WHEN former.row_kind = 'summary' OR former.transaction_id IS NULL THEN former.hit_seq END)
