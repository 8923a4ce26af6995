-- How many touches conversions had in reach. Returns (negative amounts) are left out, or counted.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01, returns = left out
SELECT touches, count(*) AS conversions, sum(value) AS orders, 100.0 * count(*) / sum(count(*)) OVER () AS percent
FROM conversions('orders', 'tracking_code', lookback => '30 days', since => '1970-01-01', until => '2200-01-01')
WHERE value > 0 OR 'left out' = 'counted'
GROUP BY touches
ORDER BY touches
