-- changed_hits, of visitors whose hits another load holds, too, with the rows near those: any of them may count now or no more.
-- Reads: changed_hits, near_hits, again_visitors.
SELECT * FROM changed_hits
UNION ALL
SELECT near_hits.* FROM near_hits
WHERE EXISTS (SELECT 1 FROM again_visitors WHERE again_visitors.visitor_key = near_hits.visitor_key)