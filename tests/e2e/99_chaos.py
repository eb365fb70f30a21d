"""A short run of `make chaos`: three brokers, and all that dies, stops and comes again, while videos are told of in all ways."""

import re
import subprocess
import sys

import harness
import pytest

pytestmark = [pytest.mark.release_only, pytest.mark.begun_first]  # others run beside it

SEED = 6
VIDEOS = 500  # each told of by webhook and by poll, 1 to 5 times each, and tried again from the topic of retries
GOALS = {"kill consumer": 16, "kill receiver": 8, "kill poller": 8, "kill broker": 3, "stop coordinator": 2, "rebalance": 20}
STEADY_S = 60  # after the last fault; or where that is longer
STEADY_STARTS = 5  # so many times what the brokers took to start: on machines that are slow, and have other things to do


def figure(text, name):
    return float(re.search(rf"^  {re.escape(name)}: ([\d.]+)", text, re.MULTILINE)[1])


def test_faults_at_any_moment_leave_each_video_with_one_outcome():
    goals = [word for name, number in GOALS.items() for word in ("--goal", f"{name}={number}")]
    done = subprocess.run([sys.executable, harness.ROOT / "tests/chaos/chaos", "--name", "short", "--seed", str(SEED), "--minutes", "0.7", *goals,
                           "--most-minutes", "20", "--share", "0", "--videos", str(VIDEOS), "--same", str(VIDEOS), "--rate", "20", "--store", "file",
                           "--socket-timeout-s", "3", "--broker-session-s", "3", "--calm-s", "1", "--quiet-s", "0", "--steady-s", "1e9",
                           "--settle-s", "900"], capture_output=True, text=True, timeout=3000)  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    text = done.stdout
    kills = sum(figure(text, f"kill -9 of {who}") for who in ("consumers", "receivers", "pollers"))
    assert kills >= 30 and figure(text, "rebalances") >= 20
    assert figure(text, "broker kills") >= 3 and figure(text, "coordinators stopped with an EndTxn out") >= 2
    assert figure(text, "of them told of in all ways, 1 to 5 times") == figure(text, "stored") == VIDEOS
    assert figure(text, "failed") == 0 < figure(text, "retries")
    assert figure(text, "steady after the last fault") <= max(STEADY_S, STEADY_STARTS * figure(text, "the brokers had started after")), text
