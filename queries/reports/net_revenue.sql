-- Sales, returns (negative amounts) and what is left, by the value that the row had or inherited; and what is left as a
-- model credits it, every return taking back what its order earned.
-- Parameters: metric = revenue, dimension = tracking_code, model = linear, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
WITH plain AS (
  SELECT tracking_code AS item, sum(CASE WHEN revenue > 0 THEN revenue ELSE 0 END) AS sold,
         sum(CASE WHEN revenue < 0 THEN revenue ELSE 0 END) AS returned, sum(revenue) AS net
  FROM events
  WHERE revenue <> 0 AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01'
  GROUP BY tracking_code
)
SELECT coalesce(plain.item, credited.item) AS tracking_code, plain.sold, plain.returned, plain.net, credited.credit AS net_credited
FROM plain
FULL JOIN attribution('revenue', 'tracking_code', model => 'linear', lookback => '30 days', since => '1970-01-01',
                      until => '2200-01-01', basis => 'snapshot') credited
  ON credited.item IS NOT DISTINCT FROM plain.item
ORDER BY plain.net DESC NULLS LAST, 1
