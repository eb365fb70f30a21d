"""What was measured, for people and for scripts."""

import dataclasses
import os
import pathlib
import platform
import re
import statistics
import subprocess

GOAL_CONNECTIONS = 64

# What has to be reached: a name, how it is computed from the medians, the bound, and whether it is a least or a most.
GOALS = [
    ("(b) / (a), requests/s", ("b", "a"), 0.8),
    ("(c) / (a), requests/s", ("c", "a"), 0.65),
    ("(b) / (d), requests/s", ("b", "d"), 10),
]
P99_MS_MAX = 15
RSS_MIB_MAX = 32


def output(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def package(name):
    return output("dpkg-query", "-W", "-f", "${Version}", name)


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model[1] if model else platform.machine(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(root):
    jars = sorted(path.name for path in (root / ".run/kafka-jars").glob("kafka_*.jar"))
    java = re.search(r'version "([^"]+)"', output("java", "-version"))
    return {
        "reelbus": output("git", "-C", str(root), "describe", "--always", "--dirty"),
        "gcc": output("gcc", "-dumpfullversion"),
        "librdkafka": package("librdkafka1"),
        "libmicrohttpd": package("libmicrohttpd12"),
        "wrk": package("wrk"),
        "node": output("node", "--version").lstrip("v"),
        "kafkajs": re.search(r'"kafkajs": "([^"]+)"', (root / "tests/bench/node/package.json").read_text())[1],
        "kafka": jars[0].removesuffix(".jar").removeprefix("kafka_") if jars else "",
        "java": java[1] if java else "",
        "postgres": package("postgresql-15"),
    }


def summary(runs):
    """The medians of the runs of one server with one number of connections."""
    middle = {field.name: statistics.median(getattr(run, field.name) for run in runs) for field in dataclasses.fields(runs[0])}
    middle["answered"] = sum(run.answered for run in runs)
    middle["distinct"] = sum(run.distinct for run in runs)
    middle["rss_before_mib"] = runs[0].rss_before_mib
    middle["rss_after_mib"] = runs[-1].rss_after_mib
    return {**middle, "runs": [dataclasses.asdict(run) for run in runs]}


def goals(results):
    """Each goal with what was reached; those whose servers were not measured are left out."""
    at_goal = {letter: cells[GOAL_CONNECTIONS] for letter, cells in results.items() if GOAL_CONNECTIONS in cells}
    found = []
    for name, (over, under), least in GOALS:
        if over in at_goal and under in at_goal:
            value = at_goal[over]["requests_per_s"] / at_goal[under]["requests_per_s"]
            found.append({"name": name, "value": round(value, 3), "least": least, "met": value >= least})
    if "b" in at_goal:
        value = at_goal["b"]["p99_ms"]
        found.append({"name": "p99 of (b), ms", "value": round(value, 2), "most": P99_MS_MAX, "met": value <= P99_MS_MAX})
    for letter in sorted({"b", "c"} & set(results)):
        value = max(run["rss_after_mib"] for cell in results[letter].values() for run in cell["runs"])
        found.append({"name": f"memory of ({letter}), MiB", "value": round(value, 1), "most": RSS_MIB_MAX, "met": value <= RSS_MIB_MAX})
    return found


def table(rows):
    """Columns of text, the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)  # fmt: skip


def print_results(titles, results):
    for connections in sorted({count for cells in results.values() for count in cells}):
        rows = [("", "requests/s", "of (a)", "p50 ms", "p99 ms", "CPU us", "Kafka's", "Postgres'", "wrk's", "memory MiB",
                 "answered 200", "and under way")]  # fmt: skip
        floor = results.get("a", {}).get(connections)
        for letter, cells in results.items():
            cell = cells[connections]
            ratio = f"{cell['requests_per_s'] / floor['requests_per_s']:.2f}" if floor else ""
            rows.append((f"({letter}) {titles[letter]}", f"{cell['requests_per_s']:,.0f}", ratio, f"{cell['p50_ms']:.2f}",
                         f"{cell['p99_ms']:.2f}", f"{cell['cpu_us']:.1f}", f"{cell['kafka_cpu_us']:.1f}",
                         f"{cell['postgres_cpu_us']:.1f}", f"{cell['wrk_cpu_us']:.1f}",
                         f"{cell['rss_before_mib']:.1f} > {cell['rss_after_mib']:.1f}",
                         f"{cell['answered']:,}", f"{cell['distinct'] - cell['answered']}"))  # fmt: skip
        print(f"\n{connections} connection{'s' if connections != 1 else ''}\n{table(rows)}")


def print_sent(sent):
    """Were they not equal, load.Load.finish would have ended the bench."""
    rows = [("over all runs", "answered 200", "distinct on Kafka", "")]
    rows += [(f"({letter})", *(f"{count:,}" for count in counts.values()), "equal") for letter, counts in sent.items()]
    print(f"\n{table(rows)}")


def print_goals(found):
    rows = [("goal", "reached", "wanted", "")]
    for goal in found:
        wanted = f">= {goal['least']}" if "least" in goal else f"<= {goal['most']}"
        rows.append((goal["name"], f"{goal['value']}", wanted, "met" if goal["met"] else "MISSED"))
    print(f"\n{table(rows)}")


def print_facts(facts):
    print("  ".join(f"{name} {value}" for name, value in facts.items() if value != ""))
