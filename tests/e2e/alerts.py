"""Which alerts fire: what running programs show on /metrics, judged by Prometheus' own engine (promtool)."""

import json
import re
import subprocess

import prometheus_client.parser
import pytest
import requests
from harness import ROOT

PROMTOOL = ROOT / ".run/promtool"
RULES = ROOT / "deploy/prometheus/reelbus.rules.yml"
NAMES = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
USED = set(re.findall(r"\breelbus_\w+", RULES.read_text())) | {"up"}

needed = pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not installed: deploy/install-deps test")


def seen(*programs):
    """What Prometheus sees of programs now: the series that alerts are about, and whether there is an answer."""
    values = {}
    for program in programs:
        target = f'job="reelbus",instance="127.0.0.1:{program.port}"'
        try:
            answer = program.get("/metrics")
        except requests.RequestException:
            values[f"up{{{target}}}"] = 0
            continue
        values[f"up{{{target}}}"] = 1
        for family in prometheus_client.parser.text_string_to_metric_families(answer.text):
            for sample in family.samples:
                labels = ",".join([target, *(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))])
                if sample.name in USED:
                    values[f"{sample.name}{{{labels}}}"] = sample.value
    return values


def firing(folder, before, now):
    """The alerts that fire some minutes after half an hour as before was followed by a change to how it is now."""
    series = [{"series": name, "values": f"{before.get(name, '_')}+0x30 {now[name]}+0x20" if name in before else f"_x30 {now[name]}+0x20"}
              for name in now]  # fmt: skip
    tests = [{"eval_time": time, "alertname": name, "exp_alerts": []} for name in sorted(NAMES) for time in ("34m", "40m")]
    path = folder / "alerts.json"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m",
                                "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": tests}]}))  # fmt: skip
    done = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True, timeout=300)
    said = done.stdout + done.stderr
    fired = set(re.findall(r"alertname: *(\w+)", said))
    assert (done.returncode == 0 or fired) and "WARNING" not in said, said
    return fired
