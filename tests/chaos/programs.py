"""Our programs: with which options they run, and at which failpoints they die."""

import json
import os
import pathlib
import random
import re
import struct
import subprocess

import harness
import s3
from cluster import KEY, port
from sweep import Sweep
from workload import SECRET

BUCKET = "videos"


class WallClock:
    """What the day is, for our programs; timers go on evenly. libfaketime does not know the waits of C11, which librdkafka uses."""

    def __init__(self, folder):
        self.path, self.library = folder / "clock", folder / "wall_clock.so"
        self.path.write_bytes(bytes(8))
        source = pathlib.Path(__file__).with_name("wall_clock.c")
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", self.library, source], check=True)

    def jump(self, seconds=0):
        with open(self.path, "r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))


class Programs:
    def __init__(self, args, folder, cluster, clock):
        """clock: a WallClock; None: that of the machine."""
        self.args, self.folder, self.cluster, self.clock = args, folder, cluster, clock
        self.binaries = harness.binaries(args.build)
        self.failpoints = self.read_failpoints()
        self.fail_rng = random.Random(f"{args.seed} failpoints")
        self.points_set, self.armed = [], True
        self.sweep = Sweep(args, self.failpoints, cluster) if args.sweep else None

    def setup(self):
        done = subprocess.run([self.binaries / "reelbus-consumer", "setup", "--topic-partitions", str(self.args.partitions)],
                              env={**os.environ, **self.consumer_options(0)}, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def starter(self, program, name, options):
        return lambda: self.cluster.spawn(name, [self.binaries / f"reelbus-{program}"], {**options, **self.failpoint(program, name)})

    # -- options -----------------------------------------------------------------------------------------------------------

    def common_options(self):
        api = {"kind": "openai", "base_url": f"{self.cluster.source_url()}/v1", "key": KEY}
        providers = self.folder / "providers.json"
        providers.write_text(json.dumps({"providers": [{"name": "sample", "api": api}]}))
        return {
            "REELBUS_KAFKA_BROKERS": self.cluster.addresses("wire"),
            "REELBUS_KAFKA": f"socket.timeout.ms={self.args.socket_timeout_s * 1000};reconnect.backoff.max.ms=1000",
            "DATABASE_URL": self.cluster.program_url(),
            "REELBUS_PROVIDERS": str(providers),
            **(self.clock_options() if self.clock else {}),
        }

    def clock_options(self):
        return {"LD_PRELOAD": str(self.clock.library), "WALL_CLOCK": str(self.clock.path)}

    def receiver_options(self, number, listen):
        """Every other one has a spool; all of them where it is to fail."""
        spool = {"REELBUS_SPOOL": str(self.folder / f"spool{number}")} if number % 2 or self.sweep else {}
        return {**self.common_options(), "REELBUS_LISTEN": f"127.0.0.1:{listen}", "VIDEO_WEBHOOK_SECRET": SECRET, "REELBUS_POLL": "off", **spool}

    def poller_options(self):
        return {**self.common_options(), "REELBUS_LISTEN": f"127.0.0.1:{port()}", "REELBUS_POLL": "only", "REELBUS_POLL_INTERVAL_MS": "1s",
                "REELBUS_POLL_GRACE_MS": "0ms", "REELBUS_POLL_ANNOUNCE_MS": "20s"}  # fmt: skip

    def consumer_options(self, number):
        common = self.common_options()
        store = {"REELBUS_FILE_ROOT": self.folder / "store", "REELBUS_FILE_PUBLIC_URL": "http://media.example.com/"} if self.args.store == "file" \
            else s3.options(self.cluster.wired["s3"], BUCKET, REELBUS_S3_SINGLE_MAX_BYTES="5MiB", REELBUS_S3_PART_BYTES="5MiB")  # fmt: skip
        return {
            **common, **{name: str(value) for name, value in store.items()},
            "REELBUS_KAFKA": f"{common['REELBUS_KAFKA']};session.timeout.ms=4000;heartbeat.interval.ms=500",
            "REELBUS_METRICS_LISTEN": f"127.0.0.1:{port()}",
            "REELBUS_GROUP": "chaos",
            "REELBUS_TRANSACTIONAL_ID": f"chaos-{number}",
            "REELBUS_GROUP_INSTANCE_ID": f"static-{number}" if number == 0 or self.sweep else "",  # the others are dynamic members
            "REELBUS_SOURCE_PORTS": "any",
            "REELBUS_SOURCE_ALLOW_PRIVATE": "true",
            "REELBUS_RETRY_FIRST_MS": "100ms",
            "REELBUS_RETRY_MAX_MS": "3s",
            "REELBUS_RETRY_IN_PLACE_MS": "500ms",
            "REELBUS_RENEW_FOR_MS": "5s",
            "REELBUS_STORE_PROBE_FIRST_MS": "100ms",
            "REELBUS_STORE_PROBE_MAX_MS": "2s",
            "REELBUS_FIRST_BYTE_TIMEOUT_MS": "10s",
            "REELBUS_LOW_SPEED_MS": "10s",
            "REELBUS_S3_TIMEOUT_MS": "10s",
        }  # fmt: skip

    # -- failpoints --------------------------------------------------------------------------------------------------------

    def read_failpoints(self):
        """Their names and what they take, from programs that were built with them."""
        if self.args.build != "fail":
            return {}
        points = {}
        for program in ("producer", "consumer"):
            told = subprocess.run([self.binaries / f"reelbus-{program}", "--failpoints"], capture_output=True, text=True).stdout
            points[program] = re.findall(r"^([a-z0-9_]+) +(errno|plain) ", told, re.MULTILINE)
        return points

    def failpoint(self, program, name):
        """What is to fail in this life of a program. Without a sweep half of them die or stop at a place of their work."""
        if not self.failpoints or not self.armed:
            return {}
        if self.sweep:
            return self.sweep.begin_life(name)
        if self.fail_rng.random() < 0.5:
            return {}
        point, takes = self.fail_rng.choice(self.failpoints[program])
        what = self.fail_rng.choice(["kill", "kill", "stop", *(["EIO", "EIO"] if takes == "errno" else [])])
        self.points_set.append((point, what))
        return {"REELBUS_FAIL": f"{point}:{self.fail_rng.choice([1, 2, 5, 20])}:{what}"}
