-- Conversions that each item took part in without being the last touch (assisted), those that it closed and opened.
-- Parameters: metric = orders, dimension = tracking_code, lookback = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT item AS tracking_code, participation - coalesce(last_touch, 0) AS assisted, coalesce(last_touch, 0) AS closed,
       coalesce(first_touch, 0) AS opened, (participation - coalesce(last_touch, 0)) / nullif(last_touch, 0) AS assisted_per_closed
FROM attribution('orders', 'tracking_code', lookback => '30 days', since => '1970-01-01', until => '2200-01-01',
                 models => 'first_touch,last_touch,participation')
WHERE item IS NOT NULL
ORDER BY assisted DESC, tracking_code
