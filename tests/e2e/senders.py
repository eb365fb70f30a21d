"""Senders of webhooks as others wrote them: signatures come from libraries that share no code with ours."""

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import os
import threading
import time
import uuid

import requests
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def new_secret():
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def standard(secret, body, webhook_id=None, at=None, prefix="webhook"):
    """Headers as the reference library of Standard Webhooks makes them."""
    webhook_id = webhook_id or "wh_" + uuid.uuid4().hex
    at = int(time.time() if at is None else at)
    moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
    signature = standardwebhooks.Webhook(secret).sign(webhook_id, moment, body)
    return {f"{prefix}-id": webhook_id, f"{prefix}-timestamp": str(at), f"{prefix}-signature": signature}


def openrouter(secret, body, at=None):
    at = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{at},{body}".encode(), "sha256").hexdigest()
    return {"X-OpenRouter-Signature": f"t={at},v1={digest}", "X-OpenRouter-Idempotency-Key": uuid.uuid4().hex}


def fal(key, body, at=None, request_id=None, user_id="user-1"):
    at = int(time.time() if at is None else at)
    request_id = request_id or str(uuid.uuid4())
    digest = hashlib.sha256(body.encode()).hexdigest()
    signature = key.sign(f"{request_id}\n{user_id}\n{at}\n{digest}".encode()).hex()
    return {"X-Fal-Webhook-Request-Id": request_id, "X-Fal-Webhook-User-Id": user_id, "X-Fal-Webhook-Timestamp": str(at),
            "X-Fal-Webhook-Signature": signature}  # fmt: skip


def plain(secret, body=None, signature_secret=None):
    headers = {"x-webhook-secret": secret}
    if signature_secret:
        headers["x-webhook-signature"] = "sha256=" + hmac.new(signature_secret.encode(), body.encode(), "sha256").hexdigest()
    return headers


def jwk(key):
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": x}


class KeyServer:
    """Publishes a JSON Web Key Set, until it is stopped."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                outer.asked += 1
                body = json.dumps({"keys": [jwk(key) for key in outer.keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def key_server(*keys):
    server = KeyServer(*keys)
    try:
        yield server
    finally:
        server.stop()


def new_key():
    return Ed25519PrivateKey.generate()


def post(producer, path, body, headers, session=requests):
    return session.post(producer.url(path), data=body, headers={"Content-Type": "application/json", **headers}, timeout=60)


def start_receiver(bus, secret):
    """A producer with one provider, 'gateway', that signs as Standard Webhooks says."""
    path = write_providers(bus, {"name": "gateway", "webhook": {"scheme": "standard", "body": "openai", "secret": secret}})
    bus.start_producer(REELBUS_PROVIDERS=path)
    return bus


def write_providers(bus, *providers):
    """The providers file of a test; gives its path."""
    path = bus.folder / "providers.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"providers": providers}))
    new.replace(path)
    return path
