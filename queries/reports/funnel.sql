-- How many visitors see a page, then touch a campaign, then order, in a time; --sql prints it to be copied for steps of your own.
-- Parameters: within = 30 days, since = 1970-01-01, until = 2200-01-01
SELECT step, name, journeys, share_of_first, share_of_previous, median_seconds
FROM funnel(steps => ['page_views > 0', 'touch(tracking_code) IS NOT NULL', 'orders > 0'], within => '30 days',
            since => '1970-01-01', until => '2200-01-01')
ORDER BY step
