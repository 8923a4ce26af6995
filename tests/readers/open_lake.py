"""Other readers see what Rejoin sees: opens the lake with deltalake, polars and duckdb and compares with `rejoin query`.

In: the `rejoin` binary, as the only argument. Makes a sample, loads it, and checks for each Delta table the number of rows
and some sums, as loaded and after compaction, and that the times in the log are those of the rows. A difference or a table that a reader cannot open ends the run with a message and exit code 1.
"""

import json
import os
import subprocess
import sys
import tempfile

import deltalake
import duckdb
import polars

# table: an expression that adds up the same everywhere
CHECKS = {
    "hits": ["count(*)", "sum(revenue)", "sum(orders)", "count(DISTINCT visitor_id)", "min(hit_time)", "count(tracking_code)"],
    "offline": ["count(*)", "sum(revenue)", "count(DISTINCT transaction_id)"],
    "snapshots": ["count(*)", "count(DISTINCT visitor_id)"],
    "files": ["count(*)", "sum(rows)", "sum(rejected)"],
    "rejects": ["count(*)", "max(line)"],
    "suites": ["count(*)"],
    "sources": ["count(*)"],
    "rebuilds": ["count(*)", "max(rebuild)"],
    "join_report": ["count(*)", "sum(matched)"],
}


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="rejoin-readers-") as folder:
        lake = os.path.join(folder, "lake")

        def rejoin(*arguments):
            environment = os.environ | {"REJOIN_LAKE": lake, "REJOIN_NOW": "2026-12-01T00:00:00Z"}
            done = subprocess.run([binary, *arguments], capture_output=True, text=True, env=environment, cwd=folder)
            if done.returncode:
                sys.exit(f"rejoin {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
            return done.stdout

        rejoin("sample", "sample", "--hits", "5000", "--days", "5", "--visitors", "400")
        rejoin("suite", "create", "shop")
        for source in sorted(os.listdir(os.path.join(folder, "sample"))):
            if source != "feed":
                kind = {"call_centre": "customer", "ad_spend": "summary"}.get(source, "transaction")
                rejoin("source", "create", "shop", source, "--kind", kind)
                rejoin("ingest", f"sample/{source}", "--suite", "shop", "--source", source)
            else:
                rejoin("ingest", "sample/feed")
        rejoin("rebuild", "--no-compact")
        failures = check(lake, rejoin)
        rejoin("compact")
        failures += check(lake, rejoin)
        if failures:
            sys.exit(f"{failures} of {2 * len(CHECKS)} checks of tables differ between readers")
        print(f"{len(CHECKS)} tables read alike by deltalake {deltalake.__version__}, polars {polars.__version__}, duckdb {duckdb.__version__}")


def check(lake, rejoin):
    """The number of tables that are not alike everywhere."""
    return sum(not (same(lake, table, sums, rejoin) and spans_are_told(lake, table)) for table, sums in CHECKS.items())


def spans_are_told(lake, table):
    """True when the log's first and last hit_time of each file are those of its rows, as deltalake and polars read them."""
    if table not in ("hits", "offline"):
        return True
    told = polars.DataFrame(deltalake.DeltaTable(os.path.join(lake, table)).get_add_actions(flatten=True))
    for path, first, last in told.select("path", "min.hit_time", "max.hit_time").iter_rows():
        times = polars.read_parquet(os.path.join(lake, table, path), columns=["hit_time"])["hit_time"]
        if (times.min(), times.max()) != (first, last):
            print(f"{table}: {path} has {times.min()} to {times.max()}, the log says {first} to {last}", file=sys.stderr)
            return False
    return True


def same(lake, table, sums, rejoin):
    """True when every reader gives the same numbers for the table."""
    sql = "SELECT " + ", ".join(f"CAST({s} AS VARCHAR) AS c{n}" if "time" in s else f"{s} AS c{n}" for n, s in enumerate(sums))
    expected = list(json.loads(rejoin("query", f"{sql} FROM {table}", "--format", "json"))[0].values())
    delta = deltalake.DeltaTable(os.path.join(lake, table))
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    uris = [uri.removeprefix("file://") for uri in delta.file_uris()]
    from_duckdb = list(database.execute(f"{sql} FROM read_parquet($files, union_by_name = true)", {"files": uris}).fetchone())
    frame = polars.scan_delta(os.path.join(lake, table))
    from_polars = list(polars.SQLContext(t=frame).execute(f"{sql} FROM t".replace("sum(", "SUM(")).collect().row(0))
    good = True
    for reader, actual in (("duckdb", from_duckdb), ("polars", from_polars)):
        for what, left, right in zip(sums, expected, actual):
            if not alike(left, right):
                print(f"{table}: {what} is {left} for rejoin and {right} for {reader}", file=sys.stderr)
                good = False
    return good


def alike(left, right):
    if isinstance(left, str) or isinstance(right, str):
        return str(left)[:10] == str(right)[:10]
    return abs((left or 0) - (right or 0)) <= 1e-6 * max(1, abs(left or 0))


if __name__ == "__main__":
    main()
