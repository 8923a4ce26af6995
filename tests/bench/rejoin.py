"""Rejoin's side: a lake with the benchmark's rows, and the questions in Rejoin's SQL."""

import json
import pathlib
import re
import shutil

import child
from pyarrow import parquet
from workloads import MOST_PATHS, STEPS

HITS = """kind = "online"
suite = "bench"
visitor_id = "visitor_id"
time = "hit_time"
visit = "visit_num"
transaction_id = "transaction_id"
[dimensions]
page_name = "page_name"
tracking_code = "tracking_code"
[metrics]
orders = "orders"
revenue = "revenue"
"""
CUSTOMER = 'customer_id = "customer_id"\n'
OFFLINE = """kind = "offline"
suite = "bench"
source = "returns"
time = "event_time"
transaction_id = "transaction_id"
[metrics]
returns = "returns"
calls = "calls"
refund = "refund"
"""


class Rejoin:
    def __init__(self, binary, folder, threads, bucket=None):
        self.binary, self.folder, self.threads = binary, folder, threads
        self.lake = bucket or folder / "lake"

    def command(self, *arguments):
        return [self.binary, "--lake", self.lake, "--threads", str(self.threads), *arguments]

    def run(self, *arguments, text=""):
        return child.run(self.command(*arguments), text)

    def create(self, customers=False):
        """An empty lake with the suite, the source and the mappings, with the customer IDs or without; a bucket must be
        empty."""
        shutil.rmtree(self.folder / "lake", ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hits.toml").write_text(CUSTOMER + HITS if customers else HITS)
        (self.folder / "offline.toml").write_text(OFFLINE)
        self.run("suite", "create", "bench")
        self.run("source", "create", "bench", "returns", "--kind", "transaction")

    def ingest_hits(self, files):
        return self.run("ingest", files, "--mapping", self.folder / "hits.toml")

    def ingest_offline(self, file):
        return self.run("ingest", file, "--mapping", self.folder / "offline.toml")

    def can(self, command):
        """True if this binary has the command."""
        return f"\n  {command} " in self.run("--help").output

    def time(self, statements, runs):
        """For each statement the seconds of `runs` runs (after one that warms up, which counts only where it is alone),
        and the rows; all in one process. A list of statements counts as one: each run takes the next of them."""
        turns = [[statement] if isinstance(statement, str) else statement for statement in statements]
        lines = ["\\timing on", "\\format ndjson"]
        lines += [f"{turn[run % len(turn)]};" for turn in turns for run in range(runs + 1)]
        seconds, rows = [], [[]]
        for line in self.run("shell", text="\n".join(lines) + "\n").output.splitlines():
            if line.startswith("{"):
                rows[-1].append(list(json.loads(line).values()))
            elif line.startswith("Time: "):
                seconds.append(float(line.split()[1]))
                rows.append([])
        each = [slice(at, at + runs + 1) for at in range(0, len(seconds), runs + 1)]
        return [(seconds[part][1:] or seconds[part], rows[part][0]) for part in each]

    def reads(self, statement):
        """The columns that a statement reads of each table, as its plan says when the process has seen the files."""
        lines = ["\\format ndjson", f"{statement};", f"EXPLAIN {statement};"]
        output = self.run("shell", text="\n".join(lines) + "\n").output
        rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        [plan] = [row["plan"] for row in rows if row.get("plan_type") == "physical_plan"]
        reads = {}
        for table, columns in re.findall(r"file_groups=[^/]*/(?:[^/,]*/)*(\w+)/[^/,]*\.parquet.*?projection=\[(.*?)\]", plan):
            known = reads.setdefault(table, [])
            known += [column for column in columns.split(", ") if column not in known]
        return reads

    def query(self, statement, *options):
        return self.run("query", statement, "--format", "ndjson", *options)

    def files(self, table=""):
        """The files of a table, or of the lake, and their sizes, with those that are no longer read."""
        return {path: path.stat().st_size for path in (self.lake / table).rglob("*") if path.is_file()}

    def live_bytes(self, table):
        """Size of the files that the newest version of a table reads."""
        return sum(self.live_files(table).values())

    def column_bytes(self, table, columns):
        """Size of some columns in those files, compressed, without footers."""
        return sum(chunk.total_compressed_size for chunk in self.chunks(table, columns))

    def chunks(self, table, columns):
        """The chunks of some columns in the files that the newest version of a table reads."""
        for path in self.live_files(table):
            footer = parquet.read_metadata(self.lake / table / path)
            for group in map(footer.row_group, range(footer.num_row_groups)):
                chunks = map(group.column, range(footer.num_columns))
                yield from (chunk for chunk in chunks if chunk.path_in_schema in columns)

    def live_files(self, table):
        """The files that the newest version of a table reads, and their sizes."""
        sizes = {}
        for log in sorted((self.lake / table / "_delta_log").glob("*.json")):
            for action in map(json.loads, log.read_text().splitlines()):
                if "add" in action:
                    sizes[action["add"]["path"]] = action["add"]["size"]
                elif "remove" in action:
                    sizes.pop(action["remove"]["path"], None)
        return sizes


def sql(workload, container=None):
    """The item NULL, conversions without a touch, is left out: the peers' queries do not list it. Of another container than
    the workload's, where one is given."""
    metric, dimension = workload.metric, workload.dimension
    if workload.model == "scan":
        return f"SELECT max({dimension}), sum({metric}), max(visitor_id), max(hit_time) FROM hits"
    container = container or workload.container
    lookback = f"{workload.lookback_days} days" if workload.lookback_days else "all"
    if workload.model == "funnel":
        # offline rows have the page of their hit
        steps = ", ".join(literal(step.replace("page_name", "touch(page_name)")) for step in STEPS)
        return f"SELECT CAST(step AS VARCHAR), journeys FROM funnel(steps => [{steps}], within => '{lookback}') ORDER BY step"
    if workload.model == "paths":
        return f"""SELECT array_to_string(path, ' > '), conversions FROM paths('{metric}', '{dimension}', lookback => '{lookback}')
            WHERE cardinality(path) > 0 ORDER BY 2 DESC, 1 LIMIT {MOST_PATHS}"""
    more = {"by": workload.by, "conversions": workload.conversions, "visitors": workload.visitors}
    more = "".join(f", {name} => {literal(value)}" for name, value in more.items() if value)
    if workload.model == "participation":
        table = f"participation('{metric}', '{dimension}', '{container}', '{lookback}'{more})"
    else:
        table = f"attribution('{metric}', '{dimension}', '{workload.model}', '{container}', '{lookback}'{more})"
    item = f"concat({workload.by}, ' ', item)" if workload.by else "item"
    return f"SELECT {item} AS item, credit FROM {table} WHERE item IS NOT NULL ORDER BY credit DESC, 1"


def scan(reads):
    """A plain scan that looks at each value of the columns of tables. The most of a column may stand in a file's footer, so that
    it need not be read; what all keys make together does not."""

    def look(table, column):
        return f"{'bit_xor' if column == 'visitor_key' else 'max'}({column}) AS {table}_{column}"

    looks = {table: ", ".join(look(table, column) for column in columns) for table, columns in reads.items()}
    return "SELECT * FROM " + " CROSS JOIN ".join(f"(SELECT {looked} FROM {table})" for table, looked in looks.items())


def literal(text):
    return "'" + text.replace("'", "''") + "'"
