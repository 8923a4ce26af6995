-- The visitors whose snapshots may hold other values because a hit of theirs came or went, whichever it was. Its visits are counted
-- from the first hit on, so that those of a snapshot hang on the hits up to it; what persists may hang on all of them. Whoever bears
-- no ID has no snapshot. Reads: changed_hits, former_snapshots, again_visitors.
SELECT visitor_key FROM changed_hits WHERE transaction_id IS NOT NULL
UNION
SELECT changed.visitor_key FROM changed_hits AS changed
WHERE EXISTS (SELECT 1 FROM former_snapshots AS former
              WHERE former.visitor_key = changed.visitor_key AND $reached)
UNION
SELECT visitor_key FROM again_visitors
