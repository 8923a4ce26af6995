"""Measures Rejoin against DuckDB and Polars, on one machine in one run.

Answers are compared before anything is reported: the same items with the same credit (to 1e-6). Times are the best of
several runs after one that warms up; each engine times its own queries in a process of its own, so that nobody's
start-up counts. Every engine gets the same number of threads.

The step `doors` also asks PostgreSQL, where Debian's package of its server is installed, and measures its clients with the
Python environment of tests/doors.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import sys
import tempfile
from dataclasses import dataclass, field

import child
import report
from rejoin import Rejoin, scan, sql
from steps import LONG, PARTICIPATION, STEPS
from workloads import ARRIVED, BY_NAME, WORKLOADS, scan_of

HERE = pathlib.Path(__file__).parent
PEERS = ["duckdb", "polars"]
THREADS = 2


@dataclass
class Bench:
    """A lake with the rows of one size, and how it is measured."""

    visitors: int
    runs: int
    skip_peers: bool
    # generated, and kept
    data: pathlib.Path
    # for lakes and copies, not kept
    work: pathlib.Path
    rejoin: Rejoin
    threads: int = THREADS
    # seconds of the steps that made the lake
    taken: dict[str, float] = field(default_factory=dict)


def main():
    given = options()
    given.dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=given.dir) as work:
        given.work = pathlib.Path(work)
        if given.agree:
            # a test: it meets no other run's data
            given.dir = given.work
            check_agreement(given)
            return
        figures = {"machine": machine(), "date": str(datetime.date.today()), "threads": THREADS, "runs": given.runs}
        if given.sizes:
            figures["growth"] = [measure_size(given, visitors) for visitors in given.sizes]
        else:
            figures |= measure(given)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    report.show(figures, given.markdown)


def options():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "rejoin-bench"
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rejoin", metavar="PATH", type=pathlib.Path, required=True, help="binary [default: a release build]")
    add("--visitors", type=int, help="about 12 hits each [default: 1000000, with --agree 2000]")
    add("--dir", type=pathlib.Path, default=cache, help="keeps the data for the next run [default: %(default)s]")
    add("--runs", type=int, default=3, help="timed runs, of which the best counts [default: 3]")
    add("--only", nargs="+", metavar="NAME", choices=[*BY_NAME, *STEPS], help="measure only: %(choices)s; without it all but day, which takes an hour")
    add("--skip-peers", action="store_true", help="leave out DuckDB and Polars, compare no answers")
    add("--agree", action="store_true", help="check only that all engines give the same answers; no times")
    add("--sizes", type=int, nargs=2, metavar="VISITORS", help="measure only how Rejoin grows from one size to another")
    add("--json", type=pathlib.Path, metavar="FILE", help="write all figures to a file")
    add("--markdown", action="store_true", help="print Markdown")
    given = parser.parse_args()
    given.visitors = given.visitors or (2_000 if given.agree else 1_000_000)
    given.rejoin = given.rejoin.resolve()
    given.workloads = [w for w in WORKLOADS if given.only is None or w.name in given.only]
    return given


def check_agreement(given):
    """Every engine answers all questions once, in one process each."""
    bench = open_bench(given, given.visitors, given.skip_peers)
    answers = [] if given.skip_peers else ask_peers(bench, given.workloads, 0)
    for state in states_of(bench):
        enter(bench, state)
        answers += ask_rejoin(bench, state, given.workloads, 0)
    agree(answers)
    engines = dict.fromkeys(answer["engine"] for answer in answers)
    print(f"{len(given.workloads)} questions answered alike by {', '.join(engines)}")


def measure(given):
    """The questions, on the lake as it was loaded and compacted, then everything else."""
    bench = open_bench(given, given.visitors, given.skip_peers)
    states, answers = states_of(bench), []
    for state in states:
        enter(bench, state)
        for workload in given.workloads:
            note(f"{workload.name}, {state}")
            # peers and Rejoin take turns, so that other work on the machine meets both
            if state == states[-1] and not given.skip_peers:
                answers += ask_peers(bench, [workload], given.runs)
            answers += ask_rejoin(bench, state, [workload], given.runs)
            if state == states[-1] and workload.target and not scan_of(workload):
                columns = scan(bench.rejoin.reads(sql(workload)))
                [(answers[-1]["scan_seconds"], _)] = bench.rejoin.time([columns], given.runs)
    agree(answers)
    steps = []
    for name, take in STEPS.items():
        if name not in LONG if given.only is None else name in given.only:
            note(name)
            steps += take(bench)
    return {"visitors": given.visitors, "hits": count_hits(bench), "states": states, "queries": answers, "steps": steps}


def measure_size(given, visitors):
    """Seconds of every step and question, and memory, of Rejoin at one size."""
    bench = open_bench(given, visitors, skip_peers=True)
    enter(bench, states_of(bench)[-1])
    for workload in given.workloads:
        note(f"{workload.name}, {visitors} visitors")
        [(seconds, _)] = bench.rejoin.time([sql(workload)], given.runs)
        bench.taken[workload.name] = min(seconds)
    peak_bytes = bench.rejoin.query(PARTICIPATION).peak_bytes
    return {"visitors": visitors, "hits": count_hits(bench), "seconds": bench.taken, "peak_bytes": peak_bytes}


def states_of(bench):
    """The states of the lake that are measured; a binary of before there was compaction has one."""
    return ["loaded", "compacted"] if bench.rejoin.can("compact") else ["loaded"]


def enter(bench, state):
    """From one state to the next."""
    if state == "compacted":
        note("compaction")
        bench.taken["compact"] = bench.rejoin.run("compact").seconds


def open_bench(given, visitors, skip_peers):
    """Data, made anew when there are none or their recipe has changed, and a new lake with them."""
    data = given.dir / f"visitors-{visitors}"
    generate(visitors, data)
    rejoin = Rejoin(given.rejoin, given.work, THREADS)
    bench = Bench(visitors, given.runs, skip_peers, data, given.work, rejoin)
    note(f"loading {visitors} visitors")
    rejoin.create()
    bench.taken["ingest"] = rejoin.ingest_hits(data / "hits").seconds
    rejoin.ingest_offline(data / "offline/offline.parquet")
    # compaction is measured on its own
    options = ["--no-compact"] if rejoin.can("compact") else []
    bench.taken["rebuild"] = rejoin.run("rebuild", *options).seconds
    return bench


def generate(visitors, data):
    """Data of so many visitors, unless they are there by the present recipe."""
    made, recipe = data / "generate.py.made", (HERE / "generate.py").read_text()
    if not made.exists() or made.read_text() != recipe:
        note(f"generate.py {visitors} {data}")
        child.python("generate.py", visitors, data)
        made.write_text(recipe)


def ask_peers(bench, workloads, runs):
    answers, names = [], [workload.name for workload in workloads]
    for engine in PEERS:
        done = child.python("peers.py", "ask", engine, bench.data, THREADS, runs, *names)
        answers += [json.loads(line) | {"state": ARRIVED} for line in done.output.splitlines()]
    return answers


def ask_rejoin(bench, state, workloads, runs):
    results = bench.rejoin.time([sql(workload) for workload in workloads], runs)
    return [
        {"workload": workload.name, "engine": "Rejoin", "seconds": seconds, "rows": rows, "state": state}
        for workload, (seconds, rows) in zip(workloads, results)
    ]


def agree(answers):
    """Takes the rows from the answers; one that differs from the first engine's ends the run with exit code 1."""
    first, differences = {}, []
    for answer in answers:
        credits = {row[0]: row[1] for row in answer.pop("rows")}
        expected, engine = first.setdefault(answer["workload"], (credits, answer["engine"]))
        items = sorted(credits.keys() | expected.keys())
        wrong = [item for item in items if not alike(credits.get(item), expected.get(item))]
        if wrong or not items:
            what = f"; {wrong[0]} has {credits.get(wrong[0])}, not {expected.get(wrong[0])}" if wrong else ""
            who = f"{answer['workload']}: {answer['engine']} ({answer['state']})"
            differences.append(f"{who} differs from {engine} in {len(wrong)} of {len(items)} items{what}")
    if differences:
        sys.exit("answers differ\n" + "\n".join(differences))


def alike(credit, expected):
    return None not in (credit, expected) and math.isclose(credit, expected, rel_tol=1e-6)


def count_hits(bench):
    return json.loads(bench.rejoin.query("SELECT count(*) AS n FROM hits").output)["n"]


def machine():
    lines = (line.partition(":") for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines())
    processors = [value.strip() for key, _, value in lines if key.strip() == "model name"]
    return {
        "processor": processors[0] if processors else "unknown processor",
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0],
    }


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
