-- Credit of each item by month, or by another column of the conversion's row.
-- Parameters: metric = orders, dimension = tracking_code, model = linear, by = month, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT item AS tracking_code, month, credit
FROM attribution('orders', 'tracking_code', model => 'linear', by => 'month', lookback => '30 days', since => '1970-01-01', until => '2200-01-01')
ORDER BY month, credit DESC, tracking_code
