-- stale_of_hits: of the stale ids those that hits bear which came or went, or whose snapshot may hold other values now, as far as
-- offline records bear them. Reads: changed_hits, moved, offline.
WITH borne AS (
  SELECT suite, 'transaction' AS kind, unnest(transaction_ids(transaction_id)) AS id
  FROM changed_hits WHERE transaction_id IS NOT NULL
  UNION ALL
  SELECT suite, 'transaction', transaction_id FROM moved
  UNION ALL
  SELECT suite, 'customer', trim(customer_id) FROM changed_hits WHERE customer_id IS NOT NULL
), known AS (
  SELECT suite, kind, trim(CASE kind WHEN 'customer' THEN customer_id ELSE transaction_id END) AS id
  FROM offline WHERE kind IN ('transaction', 'customer')
)
SELECT suite, kind, id FROM borne
WHERE EXISTS (SELECT 1 FROM known WHERE known.suite = borne.suite AND known.kind = borne.kind AND known.id = borne.id)
