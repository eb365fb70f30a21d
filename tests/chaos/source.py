"""The sample provider without a memory: a video's id says all there is to know about it. So it may be killed at any time, and
senders know beforehand what its bytes will be.

    source.py --listen host:port --public-url URL
"""

import hashlib
import importlib.machinery
import importlib.util
import pathlib
import re
import sys

sys.dont_write_bytecode = True
PROVIDER = pathlib.Path(__file__).resolve().parents[2] / "deploy/sample/provider"
loader = importlib.machinery.SourceFileLoader("sample_provider", str(PROVIDER))
sample = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(sample)

# How videos misbehave, and whether they are stored in the end.
KINDS = {
    "plain": ({}, True),
    "slow": ({"bytes_per_s": 30_000}, True),
    "busy": ({"status": 503, "status_times": 2}, True),
    "limited": ({"status": 429, "status_times": 1, "retry_after": 1}, True),  # the first one to five times
    "late": ({"status": 429, "status_times": 1, "retry_after": 1}, True),  # and polls find it in progress as often
    "cut": ({"cuts": [0.5], "reset": True, "etag": '"v"'}, True),
    "twice": ({"cuts": [0.3, 0.6]}, True),
    "chunked": ({"chunked": True}, True),
    "moved": ({"redirects": 1}, True),
    "gone": ({"status": 410}, False),
    "broken": ({"outcome": "failed"}, False),
}
SLOW_S = 6  # a slow one takes so long at most
NAME = re.compile(r"video_([a-z]+)-(\d+)-(\d+)-[0-9a-f]{12}")


class Videos(dict):
    def __init__(self, provider):
        super().__init__()
        self.provider = provider

    def get(self, name, default=None):
        match = NAME.fullmatch(name)
        if not match:
            return default
        if name not in self:
            behaviour = {**KINDS[match[1]][0], "bytes": int(match[2]), "generate_s": 0, "expires_s": 86400}
            if "bytes_per_s" in behaviour:
                behaviour["bytes_per_s"] = max(behaviour["bytes_per_s"], behaviour["bytes"] // SLOW_S)
            times = int(name[-1], 16) % 5
            if match[1] in ("limited", "late"):
                behaviour["status_times"] = 1 + times
            if match[1] == "late":
                behaviour["answers"] = [{"status": "in_progress"}] * times + [{}]
            video = sample.Video(self.provider, {"prompt": "chaos", "behaviour": behaviour})
            video.id, video.created = name, float(match[3])
            self[name] = video
        return self[name]


class Provider(sample.Provider):
    def __init__(self, args):
        super().__init__(args)
        self.secret = b"the same after each start"
        self.videos = Videos(self)


def facts(provider, name):
    """The URL, the hash and the size of a video that will be."""
    video = provider.videos.get(name)
    data = b"".join(video.parts("video"))
    return video.url(), hashlib.sha256(data).hexdigest(), len(data)


if __name__ == "__main__":
    sample.Provider = Provider
    sample.main()
