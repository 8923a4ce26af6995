-- The rows of one suite that bear a customer ID, visitor by visitor in order of time. Reads: reported_hits, or the part of them
-- that is asked for. Few rows bear one, so that is what is asked first.
SELECT visitor_key, visitor_id, hit_time, hit_seq, trim(customer_id) AS customer_id, file
FROM $hits
WHERE customer_id IS NOT NULL AND NOT is_placeholder(customer_id, $placeholders) AND visitor_id IS NOT NULL AND $which
ORDER BY visitor_key, visitor_id, hit_time, hit_seq
