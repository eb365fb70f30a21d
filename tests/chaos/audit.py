"""The auditor: has every video exactly one outcome, and does everybody tell the same story about it?

It reads Kafka, Postgres, the store and the ledger with clients that share no code with what they check, and compares. What
must hold at any time is checked while faults run; at the end, when all is quiet, everything is. README.md beside the tests
says what each violation means.

The order in which a round reads is what makes it sound while things move: offsets, then topics, then offsets again, then
rows, then objects. What an earlier step saw, a later one must see as well.
"""

import collections
import re
import time

import audit_topics
import psycopg
import psycopg.rows
from audit_topics import Away, Topics
from ledger import LedgerReader

Violation = collections.namedtuple("Violation", "kind video detail")

KINDS = {
    "lost": "a 2xx or a poll was followed by no outcome; or an attempt that the row counts was never announced",
    "duplicate": "an attempt has two outcomes, or something follows the one that says stored",
    "dangling": "a row says stored, and there is no object",
    "orphan": "an object belongs to no row, and is older than the grace period",
    "wrong_bytes": "size or hash of an object are not those of its row or of its source",
    "no_original": "the row has lost the original URL, or the application's row points elsewhere",
    "torn": "an offset is committed without its outcome, or an outcome is visible without its offset",
    "lag": "a record is still to be read",
    "open_transaction": "readers of committed records are held up",
    "unasked": "an outcome for which nobody has asked",
    "given_up": "an outcome says failed, of a video that its source would have given",
    "unrecorded": "an outcome that the row does not know, or tells otherwise",
}

ROWS = """SELECT h.id::text AS video, h.video_url, h.status, v.state, v.source_url, v.stored_url, v.bucket, v.object_key, v.bytes, v.sha256,
    v.attempt, v.variants, v.owner_topic, v.owner_partition, v.owner_offset
    FROM video_history h LEFT JOIN reelbus.video v ON v.video_id = h.id"""
LIST_UP_TO = 2000  # objects: listing all of them, again and again, takes too long above
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Auditor:
    def __init__(self, brokers, prefix, group, database_url, store, ledger, grace_s=86400):
        self.topics = Topics(brokers, prefix, group)
        self.database_url, self.store, self.grace_s = database_url, store, grace_s
        self.ledger = LedgerReader(ledger)
        self.rows = {}
        self.hashes = {}  # object and token -> SHA-256
        self.sound = set()  # objects that were right when they were looked at, while others came
        self.rounds = 0
        self.looked_at = 0  # when all was read but the objects, of which there may be many

    def round(self, final, wait_s=60):
        """Look at everything once. Gives the violations; `final`: nothing moves any more. Raises Away when somebody does not answer."""
        self.looked_at = time.monotonic()
        accepted = {video for video, told in self.ledger.read().items() if told.accepted()}
        rows_before = self.rows
        before = self.topics.covered()
        self.topics.read(wait_s)
        after = self.topics.covered_for_certain(wait_s if final else 5)
        self.rows = self.read_rows()
        self.told = self.ledger.read()
        found = [*self.check_asked(accepted, final), *self.check_outcomes(), *self.check_committed(before), *self.check_rows(before, final)]
        found += self.check_originals(self.rows if final else rows_before)
        found += self.check_visible(after) if after else []
        if final:
            found += [*self.check_lag(after), *self.check_open()]
        self.looked_at = time.monotonic()
        try:
            found += self.check_objects(final)
        except Away:
            if final:
                raise
        self.rounds += 1
        return sorted(set(found))

    def read_rows(self):
        try:
            with psycopg.connect(self.database_url, row_factory=psycopg.rows.dict_row, connect_timeout=10) as connection:
                return {row["video"]: row for row in connection.execute(ROWS).fetchall()}
        except psycopg.Error as problem:
            raise Away(f"Postgres: {problem}") from None

    def is_app_video(self, video):
        return video in self.rows

    # -- webhooks and outcomes -------------------------------------------------------------------------------------------

    def check_asked(self, accepted, final):
        topics = self.topics
        for video in accepted:
            if not any(record.final for record in topics.inputs.get(video, ())):
                yield Violation("lost", video, "answered 2xx, and in no topic")
        if final:
            asked = accepted | {video for video, told in self.told.items() if told.expected}
            asked |= {video for video, records in topics.inputs.items() if any(record.final for record in records)}
            for video in asked - topics.outcomes.keys():
                yield Violation("lost", video, "has no outcome")
        for video, outcomes in topics.outcomes.items():
            polled = any(record.final and record.topic == "video.poll.result" for record in topics.inputs.get(video, ()))
            if not polled and not self.told[video].possible():
                yield Violation("unasked", video, f"{outcomes[0].topic} at {place(outcomes[0].at)}")

    def check_outcomes(self):
        for video, outcomes in self.topics.outcomes.items():
            if not self.is_app_video(video):
                if any(outcome.event.get("class") != "unknown_video" for outcome in outcomes):
                    yield Violation("unrecorded", video, "the application has no such video")
                continue
            attempts = collections.defaultdict(list)
            for outcome in outcomes:
                attempts[outcome.attempt].append(outcome)
            for attempt, same in attempts.items():
                if len(same) > 1:
                    where = ", ".join(f"{outcome.topic} at {place(outcome.at)}" for outcome in same)
                    again = " (the same event)" if len({outcome.event["event_id"] for outcome in same}) == 1 else ""
                    yield Violation("duplicate", video, f"attempt {attempt}{again}: {where}")
            failed = next((outcome for outcome in outcomes if outcome.topic == "video.store_failed"), None)
            if failed and self.told[video].sha256:
                yield Violation("given_up", video, f"{failed.event['code']}: {failed.event['message']}")
            stored = [outcome.attempt for outcome in outcomes if outcome.topic == "video.stored"]
            if stored and max(attempts) > min(stored):
                yield Violation("duplicate", video, f"attempt {max(attempts)} after attempt {min(stored)} was stored")

    # -- Kafka's transactions --------------------------------------------------------------------------------------------

    def carried_on(self, record_at, covered):
        """Is something still to be read that goes on with what this record has begun?"""
        return not all(covered.covers(at) for at in (record_at, *(record.at for record in self.topics.retries.get(record_at, ()))))

    def check_committed(self, before):
        topics = self.topics
        for video, records in topics.inputs.items():
            if self.is_app_video(video) and video not in topics.outcomes:
                final = [record for record in records if record.final]
                if final and all(before.covers(record.at) for record in final):
                    yield Violation("torn", video, f"committed past {places(record.at for record in final)}, and there is no outcome")
        for at in topics.unreadable:
            if at not in topics.dead and before.covers(at):
                yield Violation("torn", "", f"committed past {place(at)}, which cannot be read, and there is no dead letter")

    def check_visible(self, after):
        for video, outcomes in self.topics.outcomes.items():
            for outcome in outcomes:
                if self.carried_on(outcome.source, after):
                    yield Violation("torn", video, f"{outcome.topic} is visible, and its record {place(outcome.source)} not committed")
        for origin, records in self.topics.retries.items():
            if not after.covers(origin):
                yield Violation("torn", records[0].video, f"a retry is visible, and its record {place(origin)} not committed")

    def check_lag(self, covered):
        for video, records in self.topics.inputs.items():
            left = [record.at for record in records if not covered.covers(record.at)]
            if left:
                yield Violation("lag", video, f"still to be read: {places(left)}")

    def check_open(self):
        for (topic, partition), (stable, end) in self.topics.open_transactions().items():
            yield Violation("open_transaction", "", f"{topic}/{partition} ends at {end}, and is stable up to {stable}")

    # -- rows and objects ------------------------------------------------------------------------------------------------

    def check_rows(self, before, final):
        for video, row in self.rows.items():
            outcomes = {outcome.attempt: outcome for outcome in self.topics.outcomes.get(video, ())}
            if row["state"] is None:
                if outcomes:
                    yield Violation("unrecorded", video, "an outcome is visible, and there is no row")
                continue
            yield from self.check_announced(video, row, outcomes, before, final)

    def check_originals(self, rows):
        """Of rows that were read before the topics, or when nothing moves: then all URLs are known."""
        for video, row in rows.items():
            if row["state"] is not None:
                yield from self.check_original(video, row)

    def check_original(self, video, row):
        urls = {record.url for record in self.topics.inputs.get(video, ()) if record.url}
        if row["state"] in ("stored", "failed") and urls and row["source_url"] not in urls:
            yield Violation("no_original", video, f"source_url is {row['source_url']!r}")
        wanted = {row["stored_url"]} if row["state"] == "stored" else {None, *urls}
        if row["video_url"] not in wanted:
            yield Violation("no_original", video, f"the application's URL is {row['video_url']!r}, the row {row['state']}")

    def check_announced(self, video, row, outcomes, before, final):
        settled = row["state"] in ("stored", "failed")
        owner = audit_topics.At(row["owner_topic"], row["owner_partition"], row["owner_offset"])
        must = range(1, row["attempt"] + 1) if final else [row["attempt"]] if settled and not self.carried_on(owner, before) else []
        for attempt in must:
            if attempt not in outcomes:
                kind = "lost" if final else "torn"
                yield Violation(kind, video, f"attempt {attempt} of {row['attempt']} is in the row, and was not announced")
        if outcomes and max(outcomes) > row["attempt"]:
            yield Violation("unrecorded", video, f"attempt {max(outcomes)} is visible, and the row knows of {row['attempt']}")
        latest = outcomes.get(row["attempt"])
        if settled and latest and not agrees(row, latest):
            yield Violation("unrecorded", video, f"{latest.topic} at {place(latest.at)} and the row, {row['state']}, disagree")

    def check_objects(self, final):
        stored = {f"{row['bucket']}/{row['object_key']}": row for row in self.rows.values() if row["state"] == "stored"}
        if not final and len(stored) > LIST_UP_TO:
            yield from self.check_new_objects(stored)
            return
        objects = {found.name: found for found in self.store.objects()}
        for name, row in stored.items():
            yield from self.check_object(name, row, objects.get(name))
        for name, found in objects.items():
            video = ([""] + UUID.findall(name))[-1]
            row = self.rows.get(video)
            if name not in stored and found.age_s >= self.grace_s and not is_variant(row, name) and (final or not row or row["state"] != "processing"):
                yield Violation("orphan", video, f"{name}, {found.age_s:.0f} s old")

    def check_new_objects(self, stored):
        """Where there are many: those that nobody has looked at yet. All of them at the end."""
        looked_at = {name for name, _ in self.hashes}
        for name in stored.keys() - looked_at - self.sound:
            violations = list(self.check_object(name, stored[name], None))
            yield from violations
            if not violations:
                self.sound.add(name)

    def check_object(self, name, row, found):
        key = (name, found.token) if found else None
        digest = self.hashes.get(key) or self.store.sha256(name)
        if digest is None:
            yield Violation("dangling", row["video"], f"there is no {name}")
            return
        if found:
            self.hashes[key] = digest
        told = self.told[row["video"]] if row["video"] in self.told else None
        wanted = {row["sha256"], *([told.sha256] if told and told.sha256 else [])}
        if wanted != {digest} or (found and found.bytes != row["bytes"]):
            yield Violation("wrong_bytes", row["video"], f"{name} has {found.bytes if found else '?'} bytes, {digest[:12]}; wanted "
                            f"{row['bytes']}, {' and '.join(sorted(text[:12] for text in wanted))}")  # fmt: skip

    def figures(self):
        topics = self.topics
        outcomes = [outcome for same in topics.outcomes.values() for outcome in same]
        return {
            "records": topics.visible,
            "records that were aborted": topics.written - topics.visible,
            "videos in the topics": len(topics.inputs),
            "stored": sum(outcome.topic == "video.stored" for outcome in outcomes),
            "failed": sum(outcome.topic == "video.store_failed" for outcome in outcomes),
            "retries": sum(map(len, topics.retries.values())),
            "rounds of the auditor": self.rounds,
        }

    def close(self):
        self.topics.close()


def place(at):
    return f"{at.topic}/{at.partition}@{at.offset}"


def places(all_of_them):
    return ", ".join(sorted(map(place, all_of_them)))


def is_variant(row, name):
    variants = (row or {}).get("variants") or {}
    return any(f"{row['bucket']}/{facts.get('object_key')}" == name for facts in variants.values() if isinstance(facts, dict))


def agrees(row, outcome):
    if outcome.topic == "video.store_failed":
        return row["state"] == "failed"
    event = outcome.event
    return row["state"] == "stored" and all(event[name] == row[name] for name in ("bucket", "object_key", "bytes", "sha256")) \
        and event["video_url"] == row["stored_url"]  # fmt: skip
