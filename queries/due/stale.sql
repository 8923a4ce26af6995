-- stale: the ids whose offline records are due: a row that bears them, online or offline, came or went since the last
-- rebuild, or its snapshot may hold other values now. Reads: stale_of_hits, changed_offline.
SELECT suite, kind, id FROM stale_of_hits
UNION
SELECT suite, kind, trim(CASE kind WHEN 'customer' THEN customer_id ELSE transaction_id END)
FROM changed_offline
WHERE kind IN ('transaction', 'customer')
  AND CASE kind WHEN 'customer' THEN customer_id ELSE transaction_id END IS NOT NULL
