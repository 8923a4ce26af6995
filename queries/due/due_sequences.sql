-- due_sequences: the times and sequences that records which are due will have. Reads: due_offline, record_places, suites.
SELECT DISTINCT due.suite, coalesce(due.record_time, from_local(due.record_local, suites.time_zone)) AS record_time,
       coalesce(places.first_seq + CAST(CASE WHEN due."row" < places.last_row THEN due."row" ELSE places.last_row END AS DECIMAL(38, 0)),
                due.hit_seq) AS hit_seq
FROM suites JOIN (record_places AS places RIGHT JOIN due_offline AS due ON places.suite = due.suite AND places.file = due.file)
  ON suites.suite = due.suite
WHERE due.source <> 'data_feed'
