-- The visitors' keys of integrated rows with the time and the sequence of another record that is due: a sequence has room for a part of
-- a file's name only. Reads: former_integrated, due_sequences.
SELECT former.visitor_key FROM former_integrated AS former
JOIN due_sequences AS due ON due.suite = former.suite AND due.hit_seq = former.hit_seq AND due.record_time = former.record_time
WHERE former.visitor_id IS NOT NULL
  AND (due.file <> former.file OR due."row" <> former."row" OR due.source <> former.source)
