"""Files beneath a root: nothing outside, nothing reserved, nothing half."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import FileMissing, OctoflowError, PathRefused, StorageDown, StorageFull, TooLarge
from engine.files import Root, probe_writable

OUTSIDE = "what lies outside"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "a.json").write_text("{}")
    (tmp_path / "outside.txt").write_text(OUTSIDE)
    return folder


@pytest.fixture
def root(data: Path) -> Root:
    reserved = [data / "flows", data / "secrets.yml", data / "jobs.sqlite"]
    return Root(data, reserved=reserved, max_bytes=1000, name="DATA_PATH")


def test_a_file_is_read(root: Root) -> None:
    assert root.read("input/a.json") == b"{}"


@pytest.mark.parametrize(
    "path",
    ["../outside.txt", "input/../../outside.txt", "nowhere/../../outside.txt", "..", "input/../.."],
)
def test_a_path_that_climbs_out_is_refused(root: Root, path: str) -> None:
    with pytest.raises(PathRefused, match="outside DATA_PATH"):
        root.read(path)
    with pytest.raises(PathRefused, match="outside DATA_PATH"):
        root.write(path, b"x")


@pytest.mark.parametrize(
    "path", ["", ".", "/", "/etc/passwd", "a\0b", "a\nb", "\ud800", "x" * 256, "y/" * 120, "input/"]
)
def test_a_path_that_names_no_file_is_refused(root: Root, path: str) -> None:
    with pytest.raises(PathRefused):
        root.read(path)
    with pytest.raises(PathRefused):
        root.write(path, b"x")


def test_a_name_longer_than_the_disk_allows_is_refused(root: Root) -> None:
    with pytest.raises(PathRefused, match="too long"):
        root.write("é" * 200, b"x")


@pytest.mark.parametrize("target", ["../outside.txt", "{outside}", "input/../../outside.txt"])
def test_a_link_that_leads_out_is_refused(root: Root, data: Path, target: str) -> None:
    (data / "link").symlink_to(target.format(outside=data.parent / "outside.txt"))

    for act in (root.read, root.stat, lambda path: root.write(path, b"x"), lambda path: root.append(path, b"x")):
        with pytest.raises(PathRefused, match="outside DATA_PATH"):
            act("link")
    assert (data.parent / "outside.txt").read_text() == OUTSIDE


def test_a_linked_folder_that_leads_out_is_refused(root: Root, data: Path) -> None:
    (data / "up").symlink_to("..")

    with pytest.raises(PathRefused):
        root.read("up/outside.txt")
    with pytest.raises(PathRefused):
        root.write("up/new.txt", b"x")


def test_links_in_a_circle_are_refused(root: Root, data: Path) -> None:
    (data / "a").symlink_to("b")
    (data / "b").symlink_to("a")

    with pytest.raises(PathRefused, match="links"):
        root.read("a")


def test_every_spelling_of_a_file_has_one_key(root: Root, data: Path) -> None:
    (data / normalize("NFD", "café")).mkdir()
    (data / normalize("NFD", "café") / "é.yml").write_text("x")
    (data / "short.yml").symlink_to(normalize("NFD", "café") + "/é.yml")
    (data / "folder").symlink_to(normalize("NFD", "café"))

    spellings = [
        "café/é.yml",
        "./café//é.yml",
        "input/../café/é.yml",
        "missing/../café/é.yml",
        "short.yml",
        "folder/é.yml",
    ]
    keys = {root.canonical(form) for path in spellings for form in (normalize("NFC", path), normalize("NFD", path))}

    assert keys == {normalize("NFD", "café") + "/" + "é" + ".yml"}


def test_two_files_whose_names_differ_only_in_composition_stay_two(root: Root, data: Path) -> None:
    (data / normalize("NFC", "é")).write_text("composed")
    (data / normalize("NFD", "é")).write_text("decomposed")

    assert root.read(normalize("NFC", "é")) == b"composed"
    assert root.read(normalize("NFD", "é")) == b"decomposed"


def test_a_file_of_a_mounted_config_map_keeps_its_key_when_the_map_changes(tmp_path: Path) -> None:
    for moment in ("..2024_05_23_10_00_00.1", "..2024_05_24_10_00_00.2"):
        (tmp_path / moment).mkdir()
        (tmp_path / moment / "f.yml").write_text(moment)
    (tmp_path / "f.yml").symlink_to("..data/f.yml")
    (tmp_path / "..data").symlink_to("..2024_05_23_10_00_00.1")
    root = Root(tmp_path, max_bytes=100)
    before = root.stat("f.yml")

    (tmp_path / "new").symlink_to("..2024_05_24_10_00_00.2")
    os.replace(tmp_path / "new", tmp_path / "..data")
    after = root.stat("f.yml")

    assert before.key == after.key == "f.yml"
    assert before != after
    assert root.read(after.key) == b"..2024_05_24_10_00_00.2"


@pytest.mark.parametrize(
    "path", ["secrets.yml", "./secrets.yml", "flows/f.yml", "flows", "flows/new/f.yml", "link", "dir/f.yml"]
)
def test_reserved_places_are_neither_read_nor_written(root: Root, data: Path, path: str) -> None:
    (data / "flows").mkdir()
    (data / "flows" / "f.yml").write_text("a flow")
    (data / "secrets.yml").write_text("a secret")
    (data / "link").symlink_to("input/../secrets.yml")
    (data / "dir").symlink_to("flows")

    for act in (root.read, root.canonical, lambda path: root.write(path, b"x"), lambda path: root.append(path, b"x")):
        with pytest.raises(PathRefused):
            act(path)
    assert (data / "secrets.yml").read_text() == "a secret"
    assert os.listdir(data / "flows") == ["f.yml"]


def test_a_reserved_place_is_not_made_where_it_is_missing(root: Root, data: Path) -> None:
    for path in ("jobs.sqlite", "flows/f.yml"):
        with pytest.raises(PathRefused, match="reserved"):
            root.write(path, b"x")
    assert os.listdir(data) == ["input"]


def test_a_reserved_place_is_known_by_where_its_link_leads(data: Path) -> None:
    (data / "elsewhere").mkdir()
    (data / "flows").symlink_to("elsewhere")
    root = Root(data, reserved=[data / "flows"], max_bytes=100)

    with pytest.raises(PathRefused, match="reserved"):
        root.write("elsewhere/f.yml", b"x")


def test_names_that_only_begin_like_a_reserved_one_are_free(root: Root) -> None:
    root.write("flows.txt", b"x")
    root.write("input/secrets.yml", b"y")

    assert root.read("input/secrets.yml") == b"y"


def test_what_is_not_a_regular_file_is_refused_at_once(root: Root, data: Path) -> None:
    os.mkfifo(data / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(data / "socket"))

    for path, kind in (("fifo", "FIFO"), ("input", "folder"), ("socket", "socket")):
        for act in (root.read, root.stat, lambda path: root.write(path, b"x"), lambda path: root.append(path, b"x")):
            with pytest.raises(PathRefused, match=kind):
                act(path)
    listener.close()


def test_a_device_is_refused() -> None:
    with pytest.raises(PathRefused, match="device"):
        Root("/dev", max_bytes=10).read("zero")


def test_a_file_over_the_limit_is_refused_unread(root: Root, data: Path) -> None:
    with open(data / "big", "wb") as file:
        file.truncate(10 << 30)

    with pytest.raises(TooLarge, match="10737418240 bytes, more than the limit of 1000"):
        root.read("big")
    with pytest.raises(TooLarge):
        root.write("new", bytes(1001))
    with pytest.raises(TooLarge):
        root.append("big", b"x")


def test_a_missing_file_is_named_with_those_that_are_close(root: Root) -> None:
    root.write("input/tickets.json", b"[]")

    with pytest.raises(
        FileMissing, match=r"file 'input/tickts\.json' is not in DATA_PATH; did you mean 'input/tickets\.json'\?"
    ):
        root.read("input/tickts.json")
    with pytest.raises(FileMissing, match=r"file 'input/b\.json' is not in DATA_PATH$"):
        root.read("input/b.json")
    with pytest.raises(FileMissing, match="folder does not exist"):
        root.read("inputs/a.json")
    with pytest.raises(FileMissing, match="a part of its path is a file"):
        root.read("input/a.json/b")


def test_a_missing_root_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="DATA_PATH does not exist"):
        Root(tmp_path / "none", max_bytes=10, name="DATA_PATH").read("a")


def test_a_written_file_is_whole_and_its_folders_are_made(root: Root, data: Path) -> None:
    root.write("output/deep/new.txt", b"one")
    root.write("output/deep/new.txt", b"two")

    assert root.read("output/deep/new.txt") == b"two"
    assert os.listdir(data / "output" / "deep") == ["new.txt"]


def test_a_file_that_is_replaced_keeps_its_permissions(root: Root, data: Path) -> None:
    root.write("a", b"one")
    (data / "a").chmod(0o640)

    root.write("a", b"two")

    assert stat.S_IMODE((data / "a").stat().st_mode) == 0o640


def test_writing_through_a_link_inside_keeps_the_link(root: Root, data: Path) -> None:
    (data / "link").symlink_to("input/a.json")

    root.write("link", b"[1]")

    assert (data / "link").is_symlink()
    assert (data / "input" / "a.json").read_bytes() == b"[1]"


def test_a_write_that_fails_leaves_what_was_there(root: Root, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write("a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="no room left in DATA_PATH"):
        root.write("a", b"new")

    assert sorted(os.listdir(data)) == ["a", "input"]
    assert root.read("a") == b"old"


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    root = Root(tmp_path, max_bytes=10_000_000)
    contents = [letter * 1_000_000 for letter in (b"a", b"b")]
    code = (
        "import sys; from engine.files import Root; root = Root(sys.argv[1], max_bytes=10**7)\n"
        "while True:\n"
        "    for letter in b'a', b'b':\n"
        "        root.write('f', letter * 1_000_000); print(flush=True)\n"
    )

    for turn in range(5):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(1 + turn):
                writer.stdout.readline()
            writer.kill()
        assert root.read("f") in contents

    root.sweep_temporary(datetime(9999, 1, 1, tzinfo=UTC))
    assert os.listdir(tmp_path) == ["f"]


def test_an_append_that_does_not_fit_leaves_no_part_of_it(
    root: Root, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.append("log", b"first\n")
    write = os.write

    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    with pytest.raises(StorageFull):
        root.append("log", b"second\n")

    assert (data / "log").read_bytes() == b"first\n"


def test_appends_of_many_threads_all_arrive_whole(tmp_path: Path) -> None:
    root = Root(tmp_path, max_bytes=1_000_000)
    lines = [f"{number:03} {'x' * 200}\n".encode() for number in range(80)]

    threads = [threading.Thread(target=root.append, args=("out/log", line)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(root.read("out/log").splitlines(keepends=True)) == lines


def test_a_link_swapped_in_between_never_leads_out(root: Root, data: Path) -> None:
    (data / "good").mkdir()
    (data / "good" / "f").write_text("inside")
    (data.parent / "bad").mkdir()
    (data.parent / "bad" / "f").write_text(OUTSIDE)
    (data / "folder").symlink_to("good")
    (data / "file").write_text("inside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for target in ("../bad", "good"):
                (data / "folder.new").symlink_to(target)
                os.replace(data / "folder.new", data / "folder")
            (data / "file.new").symlink_to("../outside.txt")
            os.replace(data / "file.new", data / "file")
            (data / "file.new").write_text("inside")
            os.replace(data / "file.new", data / "file")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: dict[str, int] = {}
    try:
        for turn in range(3000):
            try:
                if turn % 5 == 0:
                    root.write("folder/written", b"x")
                seen_now = root.read("folder/f" if turn % 2 else "file").decode()
            except (PathRefused, FileMissing):
                seen_now = "refused"
            seen[seen_now] = seen.get(seen_now, 0) + 1
    finally:
        done.set()
        swapper.join()

    assert set(seen) == {"inside", "refused"}
    assert sorted(os.listdir(data.parent / "bad")) == ["f"]


def test_stray_temporary_files_are_swept_when_they_are_old(root: Root, data: Path) -> None:
    now = datetime(2024, 5, 23, 12, tzinfo=UTC)
    for name, age in (("input/.tmp-old", 2), (".tmp-young", 0.5), ("input/kept", 9)):
        (data / name).write_text("")
        moment = (now - timedelta(hours=age)).timestamp()
        os.utime(data / name, (moment, moment))

    assert root.sweep_temporary(now - timedelta(hours=1)) == 1
    assert not (data / "input" / ".tmp-old").exists()
    assert (data / ".tmp-young").exists()
    assert Root(data / "none", max_bytes=1).sweep_temporary(now) == 0


def test_a_flow_cannot_write_what_would_be_swept(root: Root) -> None:
    with pytest.raises(PathRefused, match="begins with"):
        root.write(".tmp-mine", b"x")


def test_a_list_holds_each_visible_file_once_and_nothing_from_outside(data: Path) -> None:
    for path in ("b.yml", "a.yaml", "c.txt", ".hidden.yml", "input/d.yml", ".git/e.yml"):
        (data / path).parent.mkdir(exist_ok=True)
        (data / path).write_text("")
    (data / "again.yml").symlink_to("b.yml")
    (data / "loop").symlink_to(".")
    (data / "out").symlink_to("../..")
    (data / "out.yml").symlink_to("../outside.txt")

    assert Root(data, max_bytes=10).keys(".yml", ".yaml") == ["a.yaml", "b.yml", "input/d.yml"]
    assert Root(data / "none", max_bytes=10).keys(".yml") == []


def test_a_change_that_keeps_size_and_time_is_seen(root: Root, data: Path) -> None:
    before = root.stat("input/a.json")
    status = (data / "input/a.json").stat()
    (data / "input/a.json").write_text("[]")
    os.utime(data / "input/a.json", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert root.stat("input/a.json") != before


def test_a_probe_leaves_nothing_and_says_when_it_cannot_write(data: Path) -> None:
    probe_writable(data)

    assert os.listdir(data) == ["input"]
    with pytest.raises(StorageDown, match="does not exist"):
        probe_writable(data / "none")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["..", ".", "", "input", "up", "in", "a.json", "é", "outside.txt", "nowhere"]), max_size=6
    ).map("/".join)
)
def test_no_path_reaches_the_outside(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    folder = tmp_path_factory.mktemp("any") / "data"
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "a.json").write_text("{}")
    (folder / "up").symlink_to("..")
    (folder / "in").symlink_to("input")
    (folder.parent / "outside.txt").write_text(OUTSIDE)
    root = Root(folder, max_bytes=100)

    try:
        key = root.canonical(path)
    except OctoflowError:
        return

    assert root.read(path) == root.read(key) == b"{}"
    assert root.canonical(key) == key == "input/a.json"
