-- What each item earned for what it cost; the cost comes from summary records, such as a file of ad spend by day.
-- Parameters: metric = revenue, cost = event20, dimension = tracking_code, model = linear, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
WITH spent AS (
  SELECT tracking_code AS item, sum(event20) AS cost
  FROM events
  WHERE event20 <> 0 AND local_time(hit_time) >= '1970-01-01' AND local_time(hit_time) < '2200-01-01'
  GROUP BY tracking_code
)
SELECT spent.item AS tracking_code, spent.cost, coalesce(earned.credit, 0) AS revenue,
       coalesce(earned.credit, 0) / nullif(spent.cost, 0) AS return_on_ad_spend
FROM spent
LEFT JOIN attribution('revenue', 'tracking_code', model => 'linear', lookback => '30 days', since => '1970-01-01',
                      until => '2200-01-01') earned ON earned.item = spent.item
ORDER BY return_on_ad_spend DESC NULLS LAST, 1
