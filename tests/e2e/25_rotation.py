"""Secrets change while webhooks come: old, then old and new, then new. Nobody who has a valid one is refused."""

import concurrent.futures
import json
import signal
import threading

import requests
import senders
from harness import SECRET, wait_for

WEBHOOKS = 10_000
SENDERS = 4


class Sending:
    """A sender with a connection of its own. Which secret it signs with is changed from outside."""

    def __init__(self, bus, secret, count):
        self.bus = bus
        self.secret = secret
        self.count = count
        self.sent = 0
        self.refused = []

    def run(self, stop):
        with requests.Session() as session:
            while self.sent < self.count or not stop.is_set():
                body = json.dumps({"type": "response.completed", "number": self.sent})
                answer = senders.post(self.bus.producer, "/webhooks/gateway", body, senders.standard(self.secret, body), session)
                if answer.status_code != 200:
                    self.refused.append((answer.status_code, answer.text))
                self.sent += 1


def reads(bus):
    return bus.producer.log.count("ev=providers_read")


def hang_up(bus):
    before = reads(bus)
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: reads(bus) > before, "the files are read again")


def accepts(bus, secret):
    body = json.dumps({"type": "response.completed"})
    return senders.post(bus.producer, "/webhooks/gateway", body, senders.standard(secret, body)).status_code == 200


def test_a_rotation_refuses_not_one_of_ten_thousand(bus):
    old, new = senders.new_secret(), senders.new_secret()
    secret = bus.folder / "secret"
    secret.write_text(old + "\n")
    path = senders.write_providers(
        bus, {"name": "gateway", "webhook": {"scheme": "standard", "body": "openai", "secret_file": str(secret)}}
    )
    bus.start_producer(REELBUS_PROVIDERS=path)
    stop = threading.Event()
    sending = [Sending(bus, old, WEBHOOKS // SENDERS) for _ in range(SENDERS)]
    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        futures = [pool.submit(each.run, stop) for each in sending]
        try:
            wait_for(lambda: sum(each.sent for each in sending) > WEBHOOKS * 0.3, "a third is sent", 600)
            secret.write_text(f"{old}\n{new}\n")
            hang_up(bus)
            for each in sending:
                each.secret = new
                wait_for(lambda: sum(e.sent for e in sending) > WEBHOOKS * 0.4, "some more are sent", 600)
            marks = [each.sent for each in sending]
            wait_for(lambda: all(each.sent > mark + 1 for each, mark in zip(sending, marks)), "all use the new one", 600)
            secret.write_text(f"{new}\n")
            hang_up(bus)
            assert not accepts(bus, old) and accepts(bus, new)
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert sum(each.sent for each in sending) >= WEBHOOKS
    assert [refused for each in sending for refused in each.refused] == []


def test_the_plain_secret_in_a_file_is_read_again_too(bus):
    path = bus.folder / "secret"
    path.write_text(SECRET + "-old\n")
    bus.start_producer(VIDEO_WEBHOOK_SECRET="", VIDEO_WEBHOOK_SECRET_FILE=path)

    def status(secret):
        return bus.webhook({"videoId": bus.insert_video(), "status": "failed"}, secret=secret).status_code

    assert (status(SECRET + "-old"), status(SECRET + "-new")) == (200, 401)
    path.write_text(f"{SECRET}-old,{SECRET}-new")
    assert status(SECRET + "-new") == 401  # nothing happens before it is asked for
    hang_up(bus)
    assert (status(SECRET + "-old"), status(SECRET + "-new")) == (200, 200)
    path.write_text(f"{SECRET}-new\n")
    hang_up(bus)
    assert (status(SECRET + "-old"), status(SECRET + "-new")) == (401, 200)


def test_a_mistake_in_a_file_keeps_what_was_valid(bus):
    secret = senders.new_secret()
    webhook = {"scheme": "standard", "body": "openai", "secret": secret}
    path = senders.write_providers(bus, {"name": "gateway", "webhook": webhook})
    bus.start_producer(REELBUS_PROVIDERS=path)
    for number, text in enumerate(["{", '{"providers":[{"name":"gateway","webhook":{"scheme":"none"}}]}', '{"providers":7}'], 1):
        path.write_text(text)
        bus.producer.process.send(signal.SIGHUP)
        wait_for(lambda: bus.producer.log.count("ev=providers_refused") == number, "it is told")
        assert accepts(bus, secret)
    path.unlink()
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: bus.producer.log.count("ev=providers_refused") == 4, "it is told")
    assert accepts(bus, secret) and secret not in bus.producer.log
    path = senders.write_providers(bus)
    hang_up(bus)
    assert not accepts(bus, secret)  # nobody is named any more
