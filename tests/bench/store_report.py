"""What was measured about storing, for people and for scripts."""

import dataclasses
import statistics

import report

GOAL_PEAK_MIB = 64
GOAL_SLOW_KIB = 256
GOAL_P50_MS, GOAL_P99_MS = 100, 250
GOAL_TINY_PER_S, GOAL_TINY_OF_OTHER = 2000, 0.8


def versions(root):
    known = report.versions(root)
    return {
        **{name: known[name] for name in ("reelbus", "gcc", "librdkafka", "kafka", "java", "postgres")},
        "libcurl": report.package("libcurl4"),
        "openssl": report.package("libssl3"),
        "curl": report.package("curl"),
        "rclone": report.package("rclone"),
        "nginx": report.output(root / ".run/nginx", "-v").rsplit("/", 1)[-1],
    }


def summary(runs):
    middle = {field.name: statistics.median(getattr(run, field.name) for run in runs) for field in dataclasses.fields(runs[0])}
    middle["peak_mib"] = max(run.peak_mib for run in runs)
    return {**middle, "runs": [dataclasses.asdict(run) for run in runs]}


def goal(name, value, least=None, most=None):
    bound = {"least": least} if least is not None else {"most": most}
    return {"name": name, "value": round(value, 2), **bound, "met": value >= least if least is not None else value <= most}


def goals_of_runs(results):
    for at_once, cells in results.items():
        ours, pipeline, rclone = (cells.get(letter) for letter in ("s", "p", "r"))
        if ours and pipeline:
            yield goal(f"{at_once} at once: MB/s, (s) / (p)", ours["mb_per_s"] / pipeline["mb_per_s"], least=1.5)
            yield goal(f"{at_once} at once: CPU per GB, (s) / (p)", ours["cpu_s_per_gb"] / pipeline["cpu_s_per_gb"], most=0.5)
        if ours and rclone:
            yield goal(f"{at_once} at once: MB/s, (s) / (r)", ours["mb_per_s"] / rclone["mb_per_s"], least=1)
        if ours:
            yield goal(f"{at_once} at once: memory of (s), MiB", ours["peak_mib"], most=GOAL_PEAK_MIB)


def goals(results, trials):
    found = list(goals_of_runs(results))
    if "huge" in trials:
        found.append(goal(f"one of {trials['huge']['largest_mib'] / 1024:.1f} GiB among others: memory, MiB",
                          trials["huge"]["peak_mib"], most=GOAL_PEAK_MIB))  # fmt: skip
    if "slow" in trials:
        slow = trials["slow"]
        found.append(goal(f"{slow['transfers']} slow sources: KiB each", slow["kib_each"], most=GOAL_SLOW_KIB))
        found.append(goal(f"{slow['transfers']} slow sources: tries", slow["tries_max"], most=1))
    if "latency" in trials:
        latency = trials["latency"]
        found.append(goal("webhook to video.stored, over a raw copy: p50 ms", latency["p50_ms"] - latency["raw_p50_ms"], most=GOAL_P50_MS))
        found.append(goal("webhook to video.stored, over a raw copy: p99 ms", latency["p99_ms"] - latency["raw_p50_ms"], most=GOAL_P99_MS))
    return found


def tiny_goals(results):
    found = []
    for at_once, cells in results.items():
        if "f" not in cells:
            continue
        ours = cells["f"]["videos_per_s"]
        found.append(goal(f"{at_once} at once: videos/s", ours, least=GOAL_TINY_PER_S))
        found += [goal(f"{at_once} at once: videos/s, (f) / ({letter})", ours / cell["videos_per_s"], least=GOAL_TINY_OF_OTHER)
                  for letter, cell in cells.items() if letter != "f"]  # fmt: skip
    return found


def print_tiny(titles, results):
    for at_once, cells in results.items():
        rows = [(f"{at_once} at once", "videos/s", "CPU ms/video", "Postgres'", "Kafka's", "memory MiB")]
        rows += [(f"({letter}) {titles[letter]}", f"{cell['videos_per_s']:.0f}", f"{cell['cpu_ms']:.2f}", f"{cell['postgres_cpu_ms']:.2f}",
                  f"{cell['kafka_cpu_ms']:.2f}", f"{cell['peak_mib']:.1f}") for letter, cell in cells.items()]  # fmt: skip
        print(f"\n{report.table(rows)}")


def print_results(titles, results):
    for at_once, cells in results.items():
        rows = [(f"{at_once} at once", "MB/s", "of (p)", "CPU s/GB", "of (p)", "nginx' CPU s/GB", "memory MiB")]
        base = cells.get("p")
        for letter, cell in cells.items():
            rows.append((f"({letter}) {titles[letter]}", f"{cell['mb_per_s']:.0f}",
                         f"{cell['mb_per_s'] / base['mb_per_s']:.2f}" if base else "", f"{cell['cpu_s_per_gb']:.2f}",
                         f"{cell['cpu_s_per_gb'] / base['cpu_s_per_gb']:.2f}" if base else "",
                         f"{cell['nginx_cpu_s_per_gb']:.2f}", f"{cell['peak_mib']:.1f}" if cell["peak_mib"] else ""))  # fmt: skip
        print(f"\n{report.table(rows)}")


def print_trials(trials):
    for name in ("huge", "slow"):
        if name in trials:
            trial = trials[name]
            print(f"\n{name}: {trial['transfers']} videos, the largest of {trial['largest_mib']:,.0f} MiB, {trial['mb_per_s']:.0f} MB/s; "
                  f"memory {trial['before_mib']:.1f} > {trial['peak_mib']:.1f} MiB, {trial['kib_each']:.0f} KiB each; "
                  f"{trial['tries_max']} {'try' if trial['tries_max'] == 1 else 'tries'} at most")  # fmt: skip
    if "latency" in trials:
        trial = trials["latency"]
        print(f"\nlatency: {trial['videos']} videos of 5 MB, one at a time: p50 {trial['p50_ms']:.1f} ms, p99 {trial['p99_ms']:.1f} ms, "
              f"at most {trial['max_ms']:.1f} ms; a raw copy {trial['raw_p50_ms']:.1f} ms")  # fmt: skip
