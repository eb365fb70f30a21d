"""The file store, and what serves its files."""

import contextlib
import hashlib
import http.server
import os
import subprocess
import threading

import pytest
import requests
from harness import MP4_HEAD, TINY_MP4, WAIT_S, mp4_box, wait_for
from sources import serving


def test_files_are_whole_readable_and_alone(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    assert running.objects() == [f"videos/{running.user}/{video_id}.mp4"]
    assert oct(running.object_path(video_id).stat().st_mode & 0o777) == "0o644"


def test_the_stored_url_serves_the_video_with_ranges(running):
    video_id, provider_video = running.store_video()
    event, _ = running.assert_stored(video_id, provider_video)
    source = running.source_bytes(provider_video)
    whole = requests.get(event["video_url"])
    assert whole.status_code == 200 and whole.content == source and whole.headers["Content-Type"] == "video/mp4"
    for spec, first, last in (("0-99", 0, 99), (f"{len(source) - 5}-", len(source) - 5, len(source) - 1),
                              ("-7", len(source) - 7, len(source) - 1), ("10-999999999", 10, len(source) - 1)):  # fmt: skip
        part = requests.get(event["video_url"], headers={"Range": "bytes=" + spec})
        assert part.status_code == 206 and part.content == source[first : last + 1], spec
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(source)}"
    for spec in (f"bytes={len(source)}-", "bytes=-0", "bytes=99999999999999999999-"):
        assert requests.get(event["video_url"], headers={"Range": spec}).status_code == 416
    for spec in ("bytes=5-3", "items=0-1", "bytes=0-1,5-6", "bytes=x-", "bytes=5", "bytes=-", "bytes="):
        assert requests.get(event["video_url"], headers={"Range": spec}).status_code == 200


def test_nothing_but_stored_files_is_served(running):
    running.store.mkdir(exist_ok=True)
    (running.store / "videos").mkdir(exist_ok=True)
    (running.store / "videos/link.mp4").symlink_to("/etc/passwd")
    (running.store / ".partial/x.part").write_text("half a video")
    for path in ("videos/link.mp4", ".partial/x.part", "videos", "", "%2e%2e/x", "../../../etc/passwd", "videos//../.partial/x.part"):
        with requests.Session() as session:
            request = requests.Request("GET", running.producer.url("/media/")).prepare()
            request.url = running.producer.url("/media/") + path  # as it is, not tidied up
            assert session.send(request).status_code == 404, path


def test_a_full_disk_is_waited_out_and_never_a_failure_of_the_video(bus, small_disk):
    bus.start_producer()
    bus.store = small_disk
    (small_disk / "ballast").write_bytes(b"x" * 1_500_000)
    bus.start_consumer()
    video_id, _ = bus.store_video(no_length=True)
    wait_for(lambda: bus.consumer.log.count("code=store_full") >= 3, "it waits for room")
    assert bus.events("video.store_failed") == [] and "No space left on device" in bus.consumer.log
    wait_for(lambda: bus.objects() == ["ballast"], "nothing half is left behind between two tries")
    (small_disk / "ballast").unlink()
    bus.wait_for_event("video.stored", video_id)


def test_a_full_disk_is_known_before_the_video_has_come(bus, small_disk):
    """The source sends no more than its beginning as long as nobody has said that there is no room for the rest."""
    video, may_go_on = MP4_HEAD + mp4_box(b"mdat", bytes(1 << 20)), threading.Event()

    class Beginning(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(video)))
            self.end_headers()
            self.wfile.write(video[:1000])
            if may_go_on.wait(WAIT_S):
                self.wfile.write(video[1000:])

    bus.start_producer()
    bus.store = small_disk
    (small_disk / "ballast").write_bytes(b"x" * 1_500_000)
    bus.start_consumer(REELBUS_FIRST_BYTE_TIMEOUT_MS=f"{WAIT_S}s", REELBUS_LOW_SPEED_MS=f"{WAIT_S}s")
    with serving(Beginning) as url:
        video_id = bus.send(url)
        wait_for(lambda: "code=store_full" in bus.consumer.log, "there is no room")
        (small_disk / "ballast").unlink()
        may_go_on.set()
        bus.wait_for_event("video.stored", video_id)
    assert bus.object_path(video_id).read_bytes() == video


def test_what_is_there_already_is_not_written_again(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_FILE_MODE="0640", REELBUS_FILE_DIR_MODE="0750")
    video_id = bus.send(source.url("first.mp4"))
    event = bus.wait_for_event("video.stored", video_id)
    path = bus.object_path(video_id)
    first = path.stat()
    assert (first.st_mode & 0o7777, path.parent.stat().st_mode & 0o7777) == (0o640, 0o750)
    if not os.listxattr(path):
        pytest.skip("this file system keeps no attributes")
    assert os.getxattr(path, "user.reelbus.sha256").decode() == event["sha256"]
    bus.forget(video_id)
    bus.send(source.url("same.mp4"), video_id)
    wait_for(lambda: len(bus.events("video.stored", video_id)) == 2, "announced once more")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    other = TINY_MP4[:-3] + b"xyz"
    source.answers["other.mp4"] = [(200, other, {})]
    bus.forget(video_id)
    bus.send(source.url("other.mp4"), video_id)
    wait_for(lambda: len(bus.events("video.stored", video_id)) == 3, "and with other bytes of the same size")
    assert path.read_bytes() == other and path.stat().st_ino != first.st_ino
    assert os.getxattr(path, "user.reelbus.sha256").decode() == hashlib.sha256(other).hexdigest()


def test_who_asks_hears_whether_the_disk_takes_anything(bus, small_disk):
    def remount(how):
        wait_for(lambda: subprocess.run(["mount", "-o", "remount," + how, small_disk]).returncode == 0, "nothing is being written")

    bus.store = small_disk
    consumer = bus.start_consumer(REELBUS_STORE_CHECK_MS="100ms")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(65536)) > 0:
            pass
    wait_for(lambda: consumer.metric("reelbus_store_up") == 0, "the disk is full")
    assert not consumer.is_ready() and "ev=store_down store=file code=store_full" in consumer.log
    (small_disk / "ballast").unlink()
    wait_for(consumer.is_ready, "there is room")
    remount("ro")
    wait_for(lambda: consumer.metric("reelbus_store_up") == 0, "nothing can be written")
    assert "ev=store_down store=file code=store_refused" in consumer.log
    remount("rw")
    wait_for(consumer.is_ready, "it can")
    consumer.stop()
    assert list((small_disk / ".partial").iterdir()) == []


def test_a_folder_that_leads_elsewhere_is_not_followed(bus, tmp_path):
    """That of one user is a failure of the video; that of all of them is waited out."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bus.start_producer()
    (bus.store / "videos").mkdir(parents=True)
    (bus.store / "videos" / bus.user).symlink_to(elsewhere)
    consumer = bus.start_consumer()
    event = bus.wait_for_event("video.store_failed", bus.store_video()[0])
    assert (event["class"], event["code"]) == ("storage", "object_refused") and "ev=circuit_opened" not in consumer.log
    (bus.store / "videos" / bus.user).unlink()
    (bus.store / "videos").rmdir()
    (bus.store / "videos").symlink_to(elsewhere)
    video_id, _ = bus.store_video()
    wait_for(lambda: "ev=job_waits" in consumer.log and "code=store_refused" in consumer.log, "it waits")
    assert list(elsewhere.iterdir()) == []
    (bus.store / "videos").unlink()
    bus.wait_for_event("video.stored", video_id)


def test_a_store_that_cannot_be_written_to_is_told_at_the_start(bus, tmp_path):
    (tmp_path / "file").write_text("")
    done = bus.run("reelbus-consumer", env={"REELBUS_FILE_ROOT": str(tmp_path / "file"), "REELBUS_FILE_PUBLIC_URL": "http://x/"})
    assert done.returncode == 2 and "file_root" in done.stderr
    done = bus.run("reelbus-consumer")
    assert done.returncode == 2 and "file_root" in done.stderr and "file_public_url" in done.stderr
