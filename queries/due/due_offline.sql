-- due_offline: the offline records to be integrated: those of stale ids, and new ones that no id ties to others.
-- Reads: offline, came_offline, stale.
SELECT offline.* FROM offline
WHERE offline.kind IN ('transaction', 'customer') AND EXISTS (
  SELECT 1 FROM stale WHERE stale.suite = offline.suite AND stale.kind = offline.kind
    AND stale.id = trim(CASE offline.kind WHEN 'customer' THEN offline.customer_id ELSE offline.transaction_id END))
UNION ALL
SELECT came_offline.* FROM came_offline
WHERE CASE kind WHEN 'customer' THEN customer_id WHEN 'transaction' THEN transaction_id END IS NULL
