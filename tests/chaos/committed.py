"""What a group has committed, asked of Kafka in its own protocol: OffsetFetch, version 7. confluent-kafka 2.16 reads on behind the
end of the metadata."""

import collections
import contextlib
import socket
import struct

Committed = collections.namedtuple("Committed", "topic partition offset metadata")
UNSTABLE = 88  # a transaction is on its way


class Refused(Exception):
    """The code that Kafka gave."""


def number(value):
    """Seven bits at a time, the lowest first."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + number(value >> 7)


def text(value):
    return number(len(value) + 1) + value.encode()


class Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def number(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self, length=None):
        length = self.number() - 1 if length is None else length
        value = self.data[self.at : self.at + max(length, 0)]
        self.at += max(length, 0)
        return value.decode()

    def many(self, take):
        return [take() for _ in range(self.number() - 1)]


def ask(address, kind, version, body, flexible):
    host, _, port = address.rpartition(":")
    head = struct.pack(">hhih", kind, version, 1, -1) + (b"\0" if flexible else b"")
    with contextlib.closing(socket.create_connection((host, int(port)), 10)) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        stream = connection.makefile("rb")
        answer = Answer(stream.read(struct.unpack(">i", stream.read(4))[0]))
    answer.take("i")
    if flexible:
        answer.number()
    return answer


def coordinator(address, group):
    answer = ask(address, 10, 0, struct.pack(">h", len(group)) + group.encode(), False)
    code, _ = answer.take("h"), answer.take("i")
    if code:
        raise Refused(code)
    host = answer.text(answer.take("h"))
    return f"{host}:{answer.take('i')}"


def fetch(brokers, group, partitions, stable):
    """stable: refused with UNSTABLE while a transaction is about to commit. Raises Refused, OSError or struct.error."""
    topics = collections.defaultdict(list)
    for topic, partition in partitions:
        topics[topic].append(partition)
    body = text(group) + number(len(topics) + 1)
    for topic, numbers in topics.items():
        body += text(topic) + number(len(numbers) + 1) + struct.pack(f">{len(numbers)}i", *numbers) + b"\0"
    answer = ask(coordinator(brokers, group), 9, 7, body + bytes([stable, 0]), True)
    answer.take("i")

    def take_partition(topic):
        place = answer.take("i"), answer.take("q"), answer.take("i"), answer.text(), answer.take("h"), answer.number()
        if place[4]:
            raise Refused(place[4])
        return Committed(topic, place[0], place[1], place[3])

    def take_topic():
        topic = answer.text()
        found = answer.many(lambda: take_partition(topic))
        answer.number()
        return found

    found = answer.many(take_topic)
    code = answer.take("h")
    if code:
        raise Refused(code)
    return [place for places in found for place in places]
