"""The file store, and what serves its files."""

import requests
from harness import wait_for


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
    video_id, _ = bus.store_video()
    wait_for(lambda: bus.consumer.log.count("code=store_full") >= 3, "it waits for room")
    assert bus.events("video.store_failed") == [] and "No space left on device" in bus.consumer.log
    wait_for(lambda: bus.objects() == ["ballast"], "nothing half is left behind between two tries")
    (small_disk / "ballast").unlink()
    bus.wait_for_event("video.stored", video_id)


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
