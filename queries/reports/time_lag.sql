-- How many days (of 24 hours) lie between the first touch in reach and the conversion; NULL: no touch in reach. Returns
-- (negative amounts) are left out, or counted.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01, returns = left out
SELECT (to_unixtime(hit_time) - to_unixtime(first_time)) / 86400 AS days, count(*) AS conversions, sum(value) AS orders
FROM conversions('orders', 'tracking_code', lookback => '30 days', since => '1970-01-01', until => '2200-01-01')
WHERE value > 0 OR 'left out' = 'counted'
GROUP BY 1
ORDER BY 1
