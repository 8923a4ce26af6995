-- How many touches conversions had in reach.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT touches, count(*) AS conversions, sum(value) AS orders, 100.0 * count(*) / sum(count(*)) OVER () AS percent
FROM conversions('orders', 'tracking_code', lookback => '30 days', since => '1970-01-01', until => '2200-01-01')
GROUP BY touches
ORDER BY touches
