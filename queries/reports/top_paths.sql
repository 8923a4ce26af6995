-- The sequences of items that lead to a conversion, the most frequent first; touches of one item in a row are one.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT path, conversions, value AS orders, journeys
FROM paths('orders', 'tracking_code', repeats => 'collapse', lookback => '30 days', since => '1970-01-01', until => '2200-01-01')
ORDER BY conversions DESC, path
LIMIT 50
