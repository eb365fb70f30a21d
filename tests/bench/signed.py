"""Requests signed as Standard Webhooks wants it, made before a run: wrk cannot sign, and none may be sent twice."""

import base64
import hashlib
import hmac
import time

# The body that load.lua sends: {videoId, videoUrl, status}, with the id in both.
BODY = (
    '{"videoId":"%s","videoUrl":"https://videos.example.com/v1/generations/%s/content.mp4'
    '?expires=1893456000&signature=4f9c1d2be07a8836d51c0e9f7a6b4c3d","status":"completed"}'
)
KEY = hashlib.sha256(b"the key of the bench").digest()
SECRET = "whsec_" + base64.b64encode(KEY).decode()

ID_BYTES = 25  # of a webhook-id as it is made here: msg_, run, number


def write(path, run, videos, count):
    """`count` webhooks about these videos in turn. First line: the timestamp of all. Then id of the video, webhook-id, signature."""
    now = int(time.time())
    bodies = [(video, BODY % (video, video)) for video in videos]
    with open(path, "w") as file:
        file.write(f"{now}\n")
        for number in range(count):
            video, body = bodies[number % len(bodies)]
            webhook_id = f"msg_{run:08x}_{number:012x}"
            digest = hmac.digest(KEY, f"{webhook_id}.{now}.{body}".encode(), "sha256")
            file.write(f"{video} {webhook_id} {base64.b64encode(digest).decode()}\n")
