"""What was measured, as tables for a terminal or as Markdown."""

from workloads import ARRIVED, BY_NAME, scan_of


def show(figures, markdown):
    table = as_markdown if markdown else aligned
    machine = figures["machine"]
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB; "
        f"{figures['date']}; {figures['threads']} threads, best of {figures['runs']} runs after a warm-up")
    if "growth" in figures:
        print("\n" + table(*growth_table(*figures["growth"])))
    else:
        print(f"{figures['hits']:,} hits of {figures['visitors']:,} visitors")
    if figures.get("queries"):
        print("\n" + table(*query_table(figures["queries"], figures["states"])))
    if figures.get("steps"):
        rows = [[step["what"], step["value"], step["target"], yes(step["met"])] for step in figures["steps"]]
        print("\n" + table(["and", "Rejoin", "target", "met"], rows))
    if machine["load"] > 0.5:
        print(f"\nOther programs were running (load {machine['load']:.1f} at the start): times are noisy.")


def query_table(answers, states):
    """Ratios are those of the last state; only the better of the peers is shown. A question's own scan is the workload that scans
    the same columns, or else what a scan of those took that its plan reads."""
    best, scans = {}, {}
    for answer in answers:
        if "scan_seconds" in answer:
            scans[answer["workload"]] = min(answer["scan_seconds"])
        key, taken = (answer["workload"], answer["state"]), min(answer["seconds"])
        if key not in best or taken < best[key][0]:
            best[key] = taken, answer["engine"].split()[0]
    header = ["workload", "best peer", *(f"Rejoin, {state}" for state in states), "times faster", "target", "met", "own scan"]
    rows = []
    for name in dict.fromkeys(answer["workload"] for answer in answers):
        workload, mine = BY_NAME[name], best[name, states[-1]][0]
        peer, target = best.get((name, ARRIVED)), workload.target
        ratio = peer and peer[0] / mine
        if target and (scanned := scan_of(workload)) and (scanned.name, states[-1]) in best:
            scans[name] = best[scanned.name, states[-1]][0]
        rows.append([
            name,
            f"{in_seconds(peer[0])} {peer[1]}" if peer else "",
            *(in_seconds(best[name, state][0]) for state in states),
            f"{ratio:.1f}" if ratio else "",
            str(target or ""),
            yes(ratio >= target if target and ratio else None),
            f"{mine / scans[name]:.1f}x" if name in scans else "",
        ])
    return header, rows


def growth_table(small, large):
    """4 times the data may take 4.4 times the time; memory may not grow with the data (1.2 times)."""
    rows = []
    for what, taken in small["seconds"].items():
        growth, most = large["seconds"][what] / taken, 1.1 * large["hits"] / small["hits"]
        both = [in_seconds(size["seconds"][what]) for size in (small, large)]
        rows.append([what, *both, f"{growth:.2f}", f"{most:.2f}", yes(growth <= most)])
    growth = large["peak_bytes"] / small["peak_bytes"]
    both = [in_megabytes(size["peak_bytes"]) for size in (small, large)]
    rows.append(["memory of a participation", *both, f"{growth:.2f}", "1.20", yes(growth <= 1.2)])
    return ["", f"{small['hits']:,} hits", f"{large['hits']:,} hits", "times", "target", "met"], rows


def aligned(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row):
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()

    return "\n".join(map(line, [header, ["-" * width for width in widths], *rows]))


def as_markdown(header, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def in_seconds(value):
    return f"{value:.3f} s" if value < 0.1 else f"{value:.2f} s"


def in_megabytes(value):
    return f"{value / 1e6:.0f} MB"


def yes(met):
    return "" if met is None else "yes" if met else "no"
