-- The visitors' keys of integrated rows with the time and the sequence of a record that is due, which may be other records: of files with
-- one name, or with names for whose differences a sequence has no room. Reads: former_integrated, due_sequences.
SELECT former.visitor_key FROM former_integrated AS former
WHERE former.visitor_id IS NOT NULL AND EXISTS (
  SELECT 1 FROM due_sequences AS due WHERE due.suite = former.suite AND due.hit_seq = former.hit_seq
    AND due.record_time = former.record_time)
