-- The rows of one suite that bear a customer ID, visitor by visitor in order of time. Reads: reported_hits.
-- $suite and $placeholders are put in as texts.
SELECT visitor_id, hit_time, hit_seq, trim(customer_id) AS customer_id
FROM reported_hits
WHERE suite = $suite AND customer_id IS NOT NULL AND visitor_id IS NOT NULL AND NOT is_placeholder(customer_id, $placeholders)
ORDER BY visitor_key, visitor_id, hit_time, hit_seq
