"""What frontends are told, and when: the status of one and many, long polling, Server-Sent Events."""

import concurrent.futures
import itertools
import re
import signal
import socket
import uuid

import pytest
import requests
from harness import SECRET, local, wait_for
from sse import Events

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def reader():
    """Opens streams, and closes them in the end."""
    opened = []

    def open_stream(program, ids, **options):
        opened.append(Events(program.url("/api/video/events"), ids, **options))
        return opened[-1]

    yield open_stream
    for events in opened:
        events.close()


@pytest.fixture
def later():
    """Runs a request meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool.submit


def get(program, ids, headers=None, **params):
    params["videoId"] = ids if isinstance(ids, str) else ",".join(ids)
    return requests.get(program.url("/api/video/status"), params=params, headers=headers, timeout=120)


def metric(program, name):
    return float(re.search(rf"^{name} (\S+)$", program.get("/metrics").text, re.MULTILINE)[1])


def change(bus, video_id, tell=True, **columns):
    """Change a row as reelbus does: the version grows, and whoever listens is told in the same transaction."""
    names = list(columns) or ["state"]
    values = list(columns.values()) or ["processing"]
    inserted = ", ".join(["video_id", *names])
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    bus.query(
        f"WITH written AS (INSERT INTO reelbus.video AS v ({inserted}) VALUES ({', '.join(['%s'] * (len(names) + 1))})"
        f" ON CONFLICT (video_id) DO UPDATE SET {updates}, updated_at = clock_timestamp() RETURNING v.video_id)"
        f" SELECT {'pg_notify' if tell else 'concat'}('reelbus_video', video_id::text) FROM written",
        video_id, *values,
    )  # fmt: skip


def is_watched(bus, count=1):
    """All streams and requests that were sent are looking by now."""
    return wait_for(lambda: metric(bus.producer, "reelbus_looks") == count, f"{count} videos are looked at")


def test_a_stream_shows_every_state_in_order_and_a_percent_that_grows(running, reader):
    video_id = running.insert_video()
    events = reader(running.producer, video_id)
    assert events.answer.headers["Content-Type"] == "text/event-stream"
    assert events.answer.headers["Cache-Control"] == "no-store" and events.answer.headers["X-Accel-Buffering"] == "no"
    assert events.wait_for_state("none")["message"] == "Waiting for video..."
    assert events.retry > 0
    provider_video = running.ask_for_video(video_id, bytes_per_s=300_000, bytes=1_500_000)
    assert events.wait_for_state("processing")["message"] == "Processing video storage..."
    stored = events.wait_for_state("stored")
    event, _ = running.assert_stored(video_id, provider_video)
    assert (stored["message"], stored["videoUrl"], stored["originalUrl"]) == ("Stored", event["video_url"], event["source_url"])
    assert stored["bytes"] == stored["bytesTotal"] == event["bytes"] and stored["storedPercent"] is None
    assert events.states() == [("waiting", "none"), ("completed", "processing"), ("completed", "stored")]
    percents = [progress["storedPercent"] for progress in events.of("progress")]
    assert len(percents) >= 2 and percents == sorted(percents) and 0 <= percents[0] < percents[-1] <= 100
    assert all(progress["bytesTotal"] == event["bytes"] >= progress["bytes"] for progress in events.of("progress"))
    kinds = [kind for kind, _ in events.events]
    assert kinds[0] == kinds[1] == kinds[-1] == "status"  # all numbers come while it is processed


def test_a_try_that_failed_shows_its_reason_and_when_the_next_one_begins(bus, reader):
    bus.start_producer()
    bus.start_consumer(REELBUS_RETRY_FIRST_MS="3s", REELBUS_RETRY_MAX_MS="3s")
    video_id = bus.insert_video()
    events = reader(bus.producer, video_id)
    events.wait_for_state("none")
    provider_video = bus.ask_for_video(video_id, status=503, status_times=1, expires_s=600)
    resting = events.wait("status", lambda view: view["nextTryAt"] is not None)
    assert (resting["storage"], resting["tries"], resting["error"]["code"]) == ("processing", 1, "source_busy")
    assert resting["updatedAt"] < resting["nextTryAt"] < resting["expiresAt"]
    stored = events.wait_for_state("stored")
    assert stored["nextTryAt"] is None and "error" not in stored and stored["tries"] == 2
    bus.assert_stored(video_id, provider_video)


def test_an_interrupted_stream_goes_on_where_it_was(bus, reader):
    bus.start_producer()
    video_id = bus.insert_video()
    change(bus, video_id, state="processing")
    first = reader(bus.producer, video_id)
    first.wait_for_state("processing")
    first.close()
    change(bus, video_id, state="failed", error_class="source", error_code="source_gone")
    second = reader(bus.producer, video_id, last_event_id=first.last_event_id)
    assert second.wait_for_state("failed")["error"] == {"class": "source", "code": "source_gone", "message": None}
    assert second.states() == [("completed", "failed")]
    third = reader(bus.producer, video_id, last_event_id=second.last_event_id)
    is_watched(bus, 2)
    change(bus, video_id, state="stored")
    third.wait_for_state("stored")
    assert third.states() == [("completed", "stored")]  # and not what the second had seen
    nonsense = reader(bus.producer, video_id, last_event_id="nonsense")
    nonsense.wait_for_state("stored")


def test_what_the_application_writes_meanwhile_is_told_to_a_stream_that_goes_on(bus, reader):
    """Its rows have no version of ours."""
    bus.start_producer()
    video_id = bus.insert_video()
    change(bus, video_id, state="waiting")
    first = reader(bus.producer, video_id)
    first.wait("status", lambda view: view["status"] == "waiting")
    wait_for(lambda: first.last_event_id, "it has an id")
    first.close()
    bus.query("UPDATE video_history SET video_url = 'https://videos.example.com/a.mp4' WHERE id = %s", video_id)
    second = reader(bus.producer, video_id, last_event_id=first.last_event_id)
    assert second.wait("status")["videoUrl"] == "https://videos.example.com/a.mp4"


def test_a_stream_of_many_goes_on_where_it_was(bus, reader):
    bus.start_producer()
    videos = [bus.insert_video() for _ in range(100)]
    for video_id in videos[:3]:
        change(bus, video_id, state="processing")
    bus.query("UPDATE reelbus.video SET updated_at = updated_at - interval '1 hour'")
    change(bus, videos[3], state="processing")
    first = reader(bus.producer, videos)
    wait_for(lambda: len(first.of("status")) == 100 and first.last_event_id, f"all of them: {len(first.events)}")
    assert {view["videoId"] for view in first.of("status")} == set(videos)
    change(bus, videos[50], state="stored")
    first.wait_for_state("stored")
    assert len(first.of("status")) == 101
    first.close()
    change(bus, videos[60], state="deleted")
    second = reader(bus.producer, videos, last_event_id=first.last_event_id)
    second.wait_for_state("deleted")
    old = {view["videoId"] for view in second.of("status")} & set(videos[:3])
    assert not old, "what changed an hour ago is not sent again"


def test_every_producer_sees_the_same(running, reader):
    video_id = running.insert_video()
    one = running.producer
    two = running.start_producer()
    readers = [reader(program, video_id) for program in (one, two)]
    for events in readers:
        events.wait_for_state("none")
    running.ask_for_video(video_id, bytes_per_s=500_000, bytes=700_000)  # slow enough for each state to be seen
    for events in readers:
        events.wait_for_state("stored")
        assert events.states() == [("waiting", "none"), ("completed", "processing"), ("completed", "stored")]
    assert readers[0].last_event_id == readers[1].last_event_id
    elsewhere = reader(one, video_id, last_event_id=readers[1].last_event_id)
    is_watched(running, 1)
    change(running, video_id, state="deleted")
    elsewhere.wait_for_state("deleted")
    assert len(elsewhere.states()) == 1


def test_a_listening_connection_that_is_cut_comes_back_and_nothing_is_missed(bus, reader):
    producer = bus.start_producer()
    video_id = bus.insert_video()
    wait_for(lambda: metric(producer, "reelbus_listening") == 1, "it listens")
    events = reader(producer, video_id)
    events.wait_for_state("none")
    listeners = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'reelbus-producer listen'"
    (before,) = bus.query(listeners)
    bus.query(f"SELECT pg_terminate_backend(pid) FROM ({listeners}) AS p")
    change(bus, video_id, tell=False, state="processing")  # nobody hears of it
    events.wait_for_state("processing")
    wait_for(lambda: metric(producer, "reelbus_listening") == 1 and "ev=listen_down" in producer.log, "it listens again")
    assert bus.query(listeners) != [before]
    change(bus, video_id, state="stored")
    events.wait_for_state("stored")


@pytest.mark.parametrize("elsewhere", ["postgresql://nobody@127.0.0.1:1/none", "pooler"])
def test_without_listen_videos_are_asked_for(bus, reader, elsewhere):
    if elsewhere == "pooler":  # LISTEN is accepted, and nothing ever comes, as behind a transaction pooler
        elsewhere = bus.stack.database_url("postgres")
    producer = bus.start_producer(REELBUS_LISTEN_URL=elsewhere)
    video_id = bus.insert_video()
    events = reader(producer, video_id)
    events.wait_for_state("none")
    wait_for(lambda: "ev=listen_down" in producer.log, "it says so")
    assert metric(producer, "reelbus_listening") == 0
    for state in ("processing", "stored"):
        change(bus, video_id, state=state)
        events.wait_for_state(state)
    assert "ev=listen_up" not in producer.log


def test_an_answer_has_a_strong_etag_and_is_not_sent_twice(bus):
    producer = bus.start_producer()
    videos = [bus.insert_video() for _ in range(2)]
    for ids in (videos[0], videos):
        answer = get(producer, ids)
        etag = answer.headers["ETag"]
        assert re.fullmatch(r'"[0-9a-f]+"', etag) and get(producer, ids).headers["ETag"] == etag
        for matching in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            same = get(producer, ids, {"If-None-Match": matching})
            assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
        for other in ('"other"', etag.strip('"')):
            assert get(producer, ids, {"If-None-Match": other}).status_code == 200
        change(bus, videos[0], state="processing", tries=len(ids))
        changed = get(producer, ids, {"If-None-Match": etag})
        assert changed.status_code == 200 and changed.headers["ETag"] != etag
    assert get(producer, videos[0]).headers["ETag"] != get(producer, videos[1]).headers["ETag"]
    assert requests.head(producer.url("/api/video/status"), params={"videoId": videos[0]}, timeout=30).headers["ETag"]


def test_a_long_poll_is_answered_when_something_changes(bus, later):
    producer = bus.start_producer()
    video_id, other = bus.insert_video(), bus.insert_video()
    etag = get(producer, video_id).headers["ETag"]
    with_etag = later(get, producer, video_id, {"If-None-Match": etag}, wait=60)
    without = later(get, producer, video_id, wait=60)
    of_many = later(get, producer, [other, video_id], wait=60)
    is_watched(bus, 4)
    change(bus, video_id, state="processing")
    for answer in (with_etag.result(), without.result()):
        assert answer.status_code == 200 and answer.json()["storage"] == "processing" and answer.headers["ETag"] != etag
    assert [view["storage"] for view in of_many.result().json()["videos"]] == ["none", "processing"]
    is_watched(bus, 0)


def test_a_long_poll_is_answered_at_once_when_something_has_changed_before(bus):
    producer = bus.start_producer()
    video_id = bus.insert_video()
    etag = get(producer, video_id).headers["ETag"]
    change(bus, video_id, state="stored")
    assert get(producer, video_id, {"If-None-Match": etag}, wait=60).json()["storage"] == "stored"


def test_a_long_poll_in_which_nothing_changes_ends(bus):
    producer = bus.start_producer()
    video_id = bus.insert_video()
    etag = get(producer, video_id).headers["ETag"]
    assert get(producer, video_id, {"If-None-Match": etag}, wait=1).status_code == 304
    answer = get(producer, video_id, wait=1)
    assert answer.status_code == 200 and answer.headers["ETag"] == etag


def test_a_long_poll_with_an_etag_is_told_of_percents(bus, later):
    producer = bus.start_producer()
    video_id = bus.insert_video()
    change(bus, video_id, state="processing")
    wait_for(lambda: metric(producer, "reelbus_listening") == 1, "it listens")
    etag = get(producer, video_id).headers["ETag"]
    waiting = later(get, producer, video_id, {"If-None-Match": etag}, wait=60)
    is_watched(bus, 1)
    # Whether it has had its first state yet nobody can see from outside: so it is told again and again.
    number = itertools.count()

    def is_told():
        bus.query("SELECT pg_notify('reelbus_video', %s)", f'{{"id":"{video_id}","bytes":{1 + next(number) % 1000},"total":1000}}')
        return waiting.done()

    wait_for(is_told, "it is answered")
    view = waiting.result().json()
    assert (view["bytesTotal"], view["storedPercent"]) == (1000, view["bytes"] // 10) and view["bytes"] >= 1
    for nonsense in ("", "x", "{}", '{"id":1}', f'{{"id":"{video_id}"}}', f'{{"id":"{video_id}","bytes":-5}}', "probe:x"):
        bus.query("SELECT pg_notify('reelbus_video', %s)", nonsense)
    assert get(producer, video_id).json()["bytes"] >= 1


def test_many_videos_are_asked_for_at_once(bus):
    producer = bus.start_producer()
    videos = [bus.insert_video() for _ in range(3)]
    answer = get(producer, [videos[2], UNKNOWN, videos[0], videos[2].upper(), videos[1]]).json()
    assert [view["videoId"] for view in answer["videos"]] == [videos[2], videos[0], videos[1]]
    assert answer["unknown"] == [UNKNOWN]
    hundred = [str(uuid.uuid4()) for _ in range(100)]
    assert get(producer, hundred).json() == {"videos": [], "unknown": hundred}
    for wrong in (",", videos[0] + ",", [*hundred, UNKNOWN], videos[0] + ",x", "x", videos[0] + " "):
        for path in ("/api/video/status", "/api/video/events"):
            ids = wrong if isinstance(wrong, str) else ",".join(wrong)
            answer = producer.get(path, params={"videoId": ids})
            assert answer.status_code == 400 and "videoId" in answer.json()["error"], wrong
    for wrong in ("-1", "61", "soon", ""):
        assert get(producer, videos[0], wait=wrong).status_code == 400
    assert producer.get("/api/video/events", params={"videoId": videos[0], "until": "x"}).status_code == 400


def test_a_stream_names_what_is_unknown_and_ends_when_it_is_asked_to(bus, reader):
    bus.start_producer()
    done, open_video = bus.insert_video(), bus.insert_video()
    change(bus, done, state="stored")
    events = reader(bus.producer, [UNKNOWN, done, open_video], until="terminal")
    assert events.wait("unknown")["videoId"] == UNKNOWN
    events.wait_for_state("none", open_video)
    assert not events.ended
    change(bus, open_video, state="processing")
    change(bus, open_video, state="failed", error_class="generation_failed", error_code="generation_failed")
    events.wait("end")
    wait_for(lambda: events.ended, "the stream ends")
    assert events.of("status", open_video)[-1]["status"] == "failed"
    is_watched(bus, 0)
    lasting = reader(bus.producer, done)
    lasting.wait_for_state("stored")
    change(bus, done, state="processing")  # begun anew: by a redrive, or a fresh URL
    lasting.wait_for_state("processing")


def test_what_nobody_looks_at_any_more_is_forgotten(bus, reader):
    bus.start_producer()
    video_id = bus.insert_video()
    streams = [reader(bus.producer, video_id) for _ in range(5)]
    for events in streams:
        events.wait_for_state("none")
    is_watched(bus, 5)
    assert metric(bus.producer, "reelbus_event_streams") == 5
    for events in streams:
        events.close()
    is_watched(bus, 0)
    wait_for(lambda: metric(bus.producer, "reelbus_event_streams") == 0, "the streams are gone as well")


def test_more_than_may_be_looked_at_are_refused_and_served_when_there_is_room(bus, reader):
    producer = bus.start_producer(REELBUS_LOOKS_MAX=2)
    videos = [bus.insert_video() for _ in range(3)]
    events = reader(producer, videos[:2])
    events.wait_for_state("none")
    for path in ("/api/video/status", "/api/video/events"):
        answer = producer.get(path, params={"videoId": videos[2]})
        assert answer.status_code == 503 and answer.headers["Retry-After"]
    events.close()
    wait_for(lambda: get(producer, videos[2]).status_code == 200, "there is room again")


def test_a_reader_that_does_not_read_is_closed_and_the_others_are_served(bus, reader):
    producer = bus.start_producer()
    slow, other = bus.insert_video(), bus.insert_video()
    wait_for(lambda: metric(producer, "reelbus_listening") == 1, "it listens")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", producer.port))
        connection.sendall(f"GET /api/video/events?videoId={slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        is_watched(bus, 1)
        healthy = reader(producer, other)
        healthy.wait_for_state("none")
        change(bus, slow, state="processing")
        flood = f"""SELECT pg_notify('reelbus_video', '{{"id":"{slow}","bytes":' || n || ',"total":100000000}}')
                    FROM generate_series(%s::int, %s::int) AS n"""
        for start in range(1, 400_000, 20_000):
            bus.query(flood, start, start + 19_999)
            if metric(producer, "reelbus_event_streams") == 1:
                break
        wait_for(lambda: metric(producer, "reelbus_event_streams") == 1, "the slow one is closed")
    change(bus, other, state="stored")
    healthy.wait_for_state("stored")


def test_a_full_stream_of_videos_with_long_urls_is_not_cut_off(bus, tmp_path_factory):
    """All first states come in one turn, and are more than a socket takes."""
    path = tmp_path_factory.mktemp("s") / "http"
    port = local.free_port()
    bus.producer = producer = bus.start("reelbus-producer", port, {
        "REELBUS_LISTEN": f"127.0.0.1:{port},unix:{path}", "VIDEO_WEBHOOK_SECRET": SECRET,
    }, True)  # fmt: skip
    url = "https://videos.example.com/" + "x" * 7000
    videos = [row["id"] for row in bus.query(
        "WITH made AS (INSERT INTO video_history (user_id, prompt, video_url) SELECT %s, 'one of many', %s FROM generate_series(1, 100)"
        " RETURNING id), ours AS (INSERT INTO reelbus.video (video_id, state, source_url) SELECT id, 'processing', %s FROM made)"
        " SELECT id::text FROM made", bus.user, url, url)]  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(str(path))
        connection.sendall(f"GET /api/video/events?videoId={','.join(videos)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        told = b""
        while told.count(b"event: status\n") < 100:
            piece = connection.recv(4096)
            assert piece, f"it is cut off after {len(told)} bytes"
            told += piece
    wait_for(lambda: metric(producer, "reelbus_event_streams") == 0, "it is closed")


def test_a_stream_outlives_the_database(bus, postgres, reader):
    bus.start_producer()
    video_id = bus.insert_video()
    first = reader(bus.producer, video_id)
    first.wait_for_state("none")
    postgres.processes["postgres"].stop(signal.SIGINT)
    wait_for(lambda: get(bus.producer, video_id).status_code == 503, "it says so")
    answer = get(bus.producer, video_id)
    assert answer.headers["Retry-After"] and answer.json()["error"]
    meanwhile = reader(bus.producer, video_id)
    assert meanwhile.answer.status == 200
    postgres.start_postgres()
    meanwhile.wait_for_state("none")
    change(bus, video_id, state="stored")
    for events in (first, meanwhile):
        events.wait_for_state("stored")


def test_a_program_that_stops_ends_streams_and_answers_those_who_wait(bus, reader, later):
    producer = bus.start_producer(REELBUS_SHUTDOWN_MS="20s")  # less than they would wait: then they get 503
    video_id = bus.insert_video()
    etag = get(producer, video_id).headers["ETag"]
    events = reader(producer, video_id)
    events.wait_for_state("none")
    polls = [later(get, producer, video_id, {"If-None-Match": etag}, wait=60), later(get, producer, video_id, wait=60)]
    is_watched(bus, 3)
    producer.process.send(signal.SIGTERM)
    wait_for(lambda: not producer.process.alive(), "it stops")
    wait_for(lambda: events.ended, "the stream has ended")
    assert producer.process.status == 0 and "ev=stopped left=0" in producer.log
    assert [poll.result().status_code for poll in polls] == [304, 200]


NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""


@pytest.fixture
def nginx(bus):
    """nginx in front of the producer, with its default settings for buffering."""
    import stack as local
    from harness import ROOT

    bus.start_producer()
    bus.start_consumer()
    port = local.free_port()
    config = bus.folder / "nginx.conf"
    config.write_text(NGINX.format(folder=bus.folder, port=port, upstream=bus.producer.port))
    process = bus.stack.spawn(f"bus/{bus.folder.name}/nginx", [ROOT / ".run/nginx", "-p", bus.folder, "-c", config])
    wait_for(lambda: not process.alive() or local.port_is_open(port), "nginx listens")
    assert process.alive(), process.tail()
    yield f"http://127.0.0.1:{port}"
    process.stop(signal.SIGTERM)


def test_a_stream_passes_a_proxy_that_buffers(bus, nginx):
    video_id = bus.insert_video()
    events = Events(nginx + "/api/video/events", video_id)
    events.wait_for_state("none")
    bus.ask_for_video(video_id, bytes_per_s=500_000, bytes=1_800_000)
    events.wait("progress")
    events.wait_for_state("stored")
    assert events.states() == [("waiting", "none"), ("completed", "processing"), ("completed", "stored")]
    is_watched(bus, 1)
    events.close()
    is_watched(bus, 0)  # the proxy tells that the client has gone
