"""The peers' side: the same questions in each peer's best form that we know, over the same rows.

    peers.py ask ENGINE DATA THREADS RUNS WORKLOAD...   a JSON line per workload: seconds of each run, the answer
    peers.py copy DATA FILE THREADS                     the columns that Rejoin gets, unsorted, as zstd Parquet
    peers.py copy-feed FEED FILE THREADS                a data feed as Parquet, with the default compression

They read what there is: daily files in order of time, and offline records that must find their visitor by transaction ID.

All queries keep to the visitors with conversions, by a join of conversions with the touches before them. On these data
that takes a third of the time of grouping the first touches of all visitors. A touch is a value that a row itself brought:
the offline rows bring none, so they only convert. Where they cannot matter to an answer they are left out. Improve a query
if you can: the comparison is with the best known form, never with a strawman.
"""

import json
import os
import pathlib
import sys
import tarfile
import time

from workloads import BY_NAME, MOST_PATHS, SECTIONS, STEPS

MAPPED = "visitor_id, hit_time, visit_num, transaction_id, page_name, tracking_code, orders, revenue"


def main():
    task, *arguments = sys.argv[1:]
    {"ask": ask, "copy": copy, "copy-feed": copy_feed}[task](*arguments)


def ask(engine, data, threads, runs, *names):
    """The first run warms up and counts only where it is the only one."""
    make = {"duckdb": DuckDb, "polars": Polars}[engine]
    peer = make(pathlib.Path(data), int(threads))
    for name in names:
        question = peer.question(BY_NAME[name])
        seconds = []
        for _ in range(int(runs) + 1):
            begun = time.perf_counter()
            rows = question()
            seconds.append(time.perf_counter() - begun)
        print(json.dumps({"workload": name, "engine": peer.name, "seconds": seconds[1:] or seconds, "rows": rows}))


class DuckDb:
    def __init__(self, data, threads):
        import duckdb

        self.name = f"DuckDB {duckdb.__version__}"
        self.database = connect(threads)
        view_arrived(self.database, data)

    def question(self, workload):
        sql = duckdb_sql(workload)
        return lambda: self.database.execute(sql).fetchall()


def connect(threads):
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {threads}; SET preserve_insertion_order = false; SET enable_progress_bar = false")
    return database


def view_arrived(database, data):
    """`tied`: the offline records with the visitor of the first hit that bore their ID."""
    database.execute(f"CREATE VIEW hits AS FROM '{data}/hits/*.parquet'")
    database.execute(f"""CREATE VIEW tied AS
        SELECT visitor_id, event_time AS hit_time, returns
        FROM '{data}/offline/offline.parquet' JOIN (
          SELECT transaction_id, min_by(visitor_id, hit_time) AS visitor_id
          FROM hits WHERE transaction_id IS NOT NULL GROUP BY 1) USING (transaction_id)""")


def duckdb_sql(workload):
    metric, dimension = workload.metric, workload.dimension
    if workload.model == "scan":
        return f"SELECT max({dimension}), sum({metric}), max(visitor_id), max(hit_time)::VARCHAR FROM hits"
    if workload.model == "funnel":
        return duckdb_funnel(workload)
    key = "visitor_id, visit_num" if workload.container == "visit" else "visitor_id"
    touches = f"SELECT {key}, hit_time, {dimension} AS item FROM hits WHERE {dimension} IS NOT NULL"
    source = "tied" if metric == "returns" else "hits"
    lookback = f"AND hit_time >= converted - INTERVAL {workload.lookback_days} DAY" if workload.lookback_days else ""
    weight = "pow(2, (epoch(hit_time) - epoch(converted)) / 604800.0)" if workload.model == "time_decay" else "1"
    if workload.model == "paths":
        credit = f"""SELECT path, count(*) AS credit
            FROM (SELECT string_agg(item, ' > ' ORDER BY hit_time) AS path FROM pairs GROUP BY conversion)
            GROUP BY path ORDER BY credit DESC, path LIMIT {MOST_PATHS}"""
    elif workload.model == "participation":
        credit = """SELECT item, sum(value) AS credit
            FROM (SELECT item, conversion, any_value(value) AS value FROM pairs GROUP BY item, conversion)
            GROUP BY item"""
    else:
        group = f"strftime(date_trunc('{workload.by}', converted), '%Y-%m-%d') || ' ' || " if workload.by else ""
        credit = f"""SELECT {group}item AS item, sum(value * weight / whole) AS credit
            FROM pairs JOIN (SELECT conversion, sum(weight) AS whole FROM pairs GROUP BY conversion) USING (conversion)
            GROUP BY 1"""
    order = "" if workload.model == "paths" else "ORDER BY credit DESC, item"
    filters = f" AND ({workload.conversions})" if workload.conversions else ""
    if workload.visitors:
        filters += f" AND visitor_id IN (SELECT visitor_id FROM hits WHERE {workload.visitors})"
    return f"""WITH touches AS ({touches}),
        conversions AS MATERIALIZED (
          SELECT row_number() OVER () AS conversion, {key}, hit_time AS converted, {metric} AS value
          FROM {source} WHERE {metric} > 0{filters}),
        pairs AS (
          SELECT item, conversion, converted, hit_time, value, {weight} AS weight FROM touches JOIN conversions USING ({key})
          WHERE hit_time <= converted {lookback})
        {credit} {order}"""


def duckdb_funnel(workload):
    """Of each row that ends a chain of so many steps, the latest beginning of one: it leaves the most time for what follows."""
    matches = ", ".join(f"{step} AS s{n}" for n, step in enumerate(STEPS))
    rows = f"SELECT visitor_id, hit_time, {matches} FROM hits WHERE {' OR '.join(STEPS)}"
    chains = [f"c0 AS (SELECT *, CASE WHEN s0 THEN hit_time END AS begun0 FROM ({rows}))"]
    for n in range(1, len(STEPS)):
        before = f"max(begun{n - 1}) OVER earlier"
        chains.append(f"""c{n} AS (SELECT *, CASE WHEN s{n} AND hit_time <= {before} + INTERVAL {workload.lookback_days} DAY
            THEN {before} END AS begun{n} FROM c{n - 1} WINDOW earlier AS (PARTITION BY visitor_id ORDER BY hit_time
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))""")
    last = len(STEPS) - 1
    reached = ", ".join(f"count(DISTINCT CASE WHEN begun{n} IS NOT NULL THEN visitor_id END) AS r{n}" for n in range(last + 1))
    counts = " UNION ALL ".join(f"SELECT '{n + 1}', r{n} FROM counts" for n in range(last + 1))
    return f"WITH {', '.join(chains)}, counts AS (SELECT {reached} FROM c{last}) {counts}"


class Polars:
    def __init__(self, data, threads):
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars

        self.pl = polars
        self.name = f"Polars {polars.__version__}"
        self.hits = polars.scan_parquet(data / "hits/*.parquet")
        self.tied = self.tie(polars.scan_parquet(data / "offline/offline.parquet"))

    def tie(self, offline):
        col = self.pl.col
        hits = self.hits.filter(col("transaction_id").is_not_null())
        first = hits.group_by("transaction_id").agg(col("visitor_id").sort_by("hit_time").first())
        tied = offline.join(first, on="transaction_id")
        return tied.select("visitor_id", col("event_time").alias("hit_time"), "returns")

    def question(self, workload):
        make = {"scan": self.scan, "funnel": self.funnel}.get(workload.model, self.credit)
        frame = make(workload)
        return lambda: frame.collect(engine="streaming").rows()

    def scan(self, workload):
        col = self.pl.col
        return self.hits.select(
            col(workload.dimension).max(), col(workload.metric).sum(), col("visitor_id").max(),
            col("hit_time").max().cast(self.pl.String))

    def funnel(self, workload):
        """As DuckDB does it."""
        pl, col = self.pl, self.pl.col
        steps = [col("page_name").str.starts_with(section) for section in SECTIONS] + [col("orders") > 0]
        rows = self.hits.filter(pl.any_horizontal(steps)).select(
            "visitor_id", "hit_time", *(step.alias(f"s{n}") for n, step in enumerate(steps)))
        rows = rows.sort("visitor_id", "hit_time").with_columns(pl.when("s0").then("hit_time").alias("begun0"))
        for n in range(1, len(steps)):
            before = col(f"begun{n - 1}").cum_max().forward_fill().shift(1).over("visitor_id")
            in_time = col("hit_time") <= before + pl.duration(days=workload.lookback_days)
            rows = rows.with_columns(pl.when(col(f"s{n}") & in_time).then(before).alias(f"begun{n}"))
        reached = rows.group_by("visitor_id").agg(
            col(f"begun{n}").is_not_null().any().alias(str(n + 1)) for n in range(len(steps)))
        return reached.select(col(str(n + 1)).sum() for n in range(len(steps))).unpivot()

    def credit(self, workload):
        pl, col, metric, dimension = self.pl, self.pl.col, workload.metric, workload.dimension
        key = ["visitor_id", "visit_num"] if workload.container == "visit" else ["visitor_id"]
        touches = self.hits.filter(col(dimension).is_not_null()).select(*key, "hit_time", item=dimension)
        source = self.tied if metric == "returns" else self.hits
        source = source.filter(col(metric) > 0)
        if workload.conversions:
            source = source.filter(pl.sql_expr(workload.conversions))
        if workload.visitors:
            some = self.hits.filter(pl.sql_expr(workload.visitors)).select("visitor_id").unique()
            source = source.join(some, on="visitor_id", how="semi")
        conversions = source.select(*key, converted="hit_time", value=metric)
        pairs = touches.join(conversions.with_row_index("conversion"), on=key)
        pairs = pairs.filter(col("hit_time") <= col("converted"))
        if workload.lookback_days:
            pairs = pairs.filter(col("hit_time") >= col("converted") - pl.duration(days=workload.lookback_days))
        if workload.model == "paths":
            paths = pairs.group_by("conversion").agg(item=col("item").sort_by("hit_time").str.join(" > "))
            counted = paths.group_by("item").agg(credit=pl.len())
            return counted.sort("credit", "item", descending=[True, False]).limit(MOST_PATHS)
        if workload.model == "participation":
            credit = pairs.group_by("item", "conversion").agg(credit=col("value").first())
        else:
            age = (col("converted") - col("hit_time")).dt.total_microseconds()
            weight = 2.0 ** (age / -604_800_000_000) if workload.model == "time_decay" else pl.lit(1.0)
            if workload.by:
                month = col("converted").dt.truncate("1mo").dt.strftime("%Y-%m-%d")
                pairs = pairs.with_columns(item=pl.concat_str(month, pl.lit(" "), "item"))
            pairs = pairs.select("item", "conversion", "value", weight=weight)
            whole = pairs.group_by("conversion").agg(whole=col("weight").sum())
            shares = pairs.join(whole, on="conversion")
            credit = shares.select("item", credit=col("value") * col("weight") / col("whole"))
        return credit.group_by("item").agg(col("credit").sum()).sort("credit", "item", descending=[True, False])


def copy(data, file, threads):
    timed_copy(connect(threads), f"SELECT {MAPPED} FROM '{data}/hits/*.parquet'", file, "zstd")


def copy_feed(feed, file, threads):
    """All columns as the text that they are, which is the fastest: no type is looked for.

    DuckDB knows no escaped newline outside quotes, so it skips the few records that have one.
    """
    [lookups, *_] = sorted(pathlib.Path(feed).glob("*-lookup_data.tar.gz"))
    with tarfile.open(lookups) as archive:
        names = archive.extractfile("column_headers.tsv").read().decode().split()
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    rows = f"""FROM read_csv('{feed}/*.tsv.gz', columns = {{{columns}}}, auto_detect = false, header = false,
        delim = '\t', quote = '', escape = '', ignore_errors = true)"""
    timed_copy(connect(threads), rows, file, "snappy")


def timed_copy(database, rows, file, compression):
    begun = time.perf_counter()
    database.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, COMPRESSION {compression})")
    seconds = time.perf_counter() - begun
    [(count,)] = database.execute(f"SELECT count(*) FROM '{file}'").fetchall()
    print(json.dumps({"seconds": seconds, "rows": count, "bytes": os.path.getsize(file)}))


if __name__ == "__main__":
    main()
