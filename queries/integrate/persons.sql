-- The rows of one suite that bear a customer ID, visitor by visitor in order of time. Reads: reported_hits, or the part of them
-- that is asked for. Few rows bear one, so that is what is asked first. Rows in one place of the order stand by what is left of their
-- hit ids: files have them so, and where that and the file are read, so do merges of files.
SELECT visitor_key, visitor_id, hit_time, hit_seq, trim(customer_id) AS customer_id, file, hit_id_rest
FROM $hits
WHERE customer_id IS NOT NULL AND NOT is_placeholder(customer_id, $placeholders) AND visitor_id IS NOT NULL AND $which
ORDER BY visitor_key, visitor_id, hit_time, hit_seq
