"""Files from strangers among the data: bombs, pipes, links, strange names. Refused with a sentence, at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import sys
import tarfile
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from guard import guarded
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "events"))
import event_files as files

from saccade.atomic import write_text
from saccade.data import DataRequest, load_data
from saccade.data.events import FrameSpec, RecordingError, event_set, make_plan, prepare, read_events, to_frames
from saccade.data.events.archives import unpack_all
from saccade.data.events.check import check_set
from saccade.data.events.fingerprint import content_hashes
from saccade.data.events.sets import Archive

OWN = event_set("recordings")


def npz_bomb(path, count, kind=np.uint8, **wrong):
    """An archive with four arrays of zeros, which deflate to a thousandth."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "txyp":
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": np.dtype(kind).str, "fortran_order": False, "shape": (wrong.get(name, count),)}
            )
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(header.getvalue())
                rest, block = count * np.dtype(kind).itemsize, bytes(2**20)
                while rest > 0:
                    rest -= file.write(block[:rest])


@pytest.mark.parametrize(("count", "kind"), [(2**25, np.uint8), (2**23, np.int64)])
def test_an_archive_that_would_fill_the_memory(tmp_path, count, kind):
    path = tmp_path / "bomb.npz"
    npz_bomb(path, count, kind)
    assert path.stat().st_size < 2**20 * 1.5
    with guarded(), pytest.raises(RecordingError, match="are the most for a file of its size"):
        read_events(path)


def test_an_archive_that_claims_more_than_it_has(tmp_path):
    path = tmp_path / "short.npz"
    npz_bomb(path, 100, x=2**22)
    with guarded(), pytest.raises(RecordingError, match="bytes for 4194304 entries"):
        read_events(path)


def test_an_archive_whose_list_of_contents_is_endless(tmp_path):
    path = tmp_path / "list.npz"
    path.write_bytes(files.npz(files.some_events(10, (4, 4))))
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\5\6")
    content[at + 12 : at + 16] = struct.pack("<L", 2**31)
    path.write_bytes(content)
    with guarded(), pytest.raises(RecordingError, match="list of contents claims 2,147,483,648 bytes"):
        read_events(path)


def test_many_sound_events_are_no_bomb(tmp_path):
    path = tmp_path / "long.npz"
    n = 2**20
    np.savez_compressed(path, t=np.arange(n) * 7, x=np.arange(n) % 30, y=np.zeros(n, int), p=np.ones(n, int))
    with guarded():
        assert len(read_events(path, (34, 34))) == n


def test_a_header_that_asks_for_a_sensor_of_terabytes(tmp_path):
    path = tmp_path / "huge.dat"
    content = files.dat(files.some_events(10, (4, 4)))
    for width, height in ((2_000_000, 2_000_000), (0, 5), (-1, 5), (2**16, 2**16)):
        size = f"% Width {width}\n% Height {height}\n".encode()
        path.write_bytes(content.replace(b"% Version 2\n", b"% Version 2\n" + size))
        with guarded(), pytest.raises(ValueError, match=r"sensor of .* pixels. It is damaged|more than 1 GiB"):
            to_frames(read_events(path), FrameSpec(10))


def test_files_of_headers_and_empty_packets_alone_end_soon(tmp_path):
    for name, content in (
        ("lines.dat", b"%\n" * 2**22),
        ("lines.aedat", b"#!AER-DAT2.0\n" + b"#\n" * 2**22),
        ("packets.aedat", files.AEDAT31_HEADER + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 0, 0, 0) * (2**20 + 1)),
    ):
        (tmp_path / name).write_bytes(content)
        with guarded(20.0), pytest.raises(RecordingError):
            read_events(tmp_path / name)


def test_a_file_that_is_too_large_to_be_a_recording(tmp_path):
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(2**40)
    with guarded(), pytest.raises(RecordingError, match=r"1,099,511,627,776 bytes, and .* are the most"):
        read_events(path)


def own_recordings(root, classes=("a", "b")):
    (root / "recordings").mkdir(parents=True)
    (root / "recordings/sensor.json").write_text('{"height": 34, "width": 34}')
    for name in classes:
        (root / "recordings" / name).mkdir()
        for k in range(10):
            (root / f"recordings/{name}/{k}.bin").write_bytes(files.atis(files.some_events(50, (34, 34), k)))
    return root


def image_folder(root, classes=("a", "b")):
    for part in ("train", "test"):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for k in range(3):
                Image.fromarray(np.full((9, 9, 3), k, np.uint8)).save(root / part / name / f"{k}.png")
    return root


def put_pipe(path):
    os.mkfifo(path)


def put_endless(path):
    path.symlink_to("/dev/zero")


def put_outside(path):
    outside = path.parents[3] / "outside"
    outside.write_bytes(b"secret")
    path.symlink_to(outside)


def put_nowhere(path):
    path.symlink_to(path.name)


def put_folder_outside(path):
    path.parent.rename(path.parents[3] / "elsewhere")
    path.parent.symlink_to(path.parents[3] / "elsewhere")


def put_control_characters(path):
    path.with_name(f"\x1b[31m{path.name}").write_bytes(b"x")


def put_no_text(path):
    Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff\xfe" + path.suffix.encode())).write_bytes(b"x")


STRANGE = [
    (put_pipe, "it is a pipe, not a file"),
    (put_endless, "leads out of the data's own folder, to /dev/zero"),
    (put_outside, "leads out of the data's own folder"),
    (put_nowhere, "a link that leads nowhere"),
    (put_folder_outside, "leads out of the data's own folder"),
    (put_control_characters, "holds control characters"),
    (put_no_text, "holds control characters, or is not text"),
]


@pytest.mark.parametrize(("put", "sentence"), STRANGE, ids=lambda v: getattr(v, "__name__", ""))
def test_what_is_no_file_among_recordings(tmp_path, put, sentence):
    root = own_recordings(tmp_path / "root")
    put(root / "recordings/a/77.bin")
    for ask in (lambda: make_plan(OWN, root, FrameSpec(2)), lambda: check_set(OWN, root)):
        with guarded(), pytest.raises(ValueError, match=sentence) as refusal:
            ask()
        assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize(("put", "sentence"), STRANGE, ids=lambda v: getattr(v, "__name__", ""))
def test_what_is_no_file_among_images(tmp_path, put, sentence):
    root = image_folder(tmp_path / "root")
    put(root / "train/a/7.png")
    with guarded(), pytest.raises(ValueError, match=sentence) as refusal:
        load_data(DataRequest("folder", root))
    assert "\x1b" not in str(refusal.value)


def test_a_pipe_in_the_place_of_every_file_that_is_read(tmp_path):
    root = own_recordings(tmp_path)
    pipe = tmp_path / "pipe.bin"
    os.mkfifo(pipe)
    zero = tmp_path / "zero.bin"
    zero.symlink_to("/dev/zero")
    with guarded(), pytest.raises(RecordingError, match="it is a pipe"):
        read_events(pipe)
    with guarded(), pytest.raises(RecordingError, match="it is a device"):
        read_events(zero)
    (root / "recordings/sensor.json").unlink()
    os.mkfifo(root / "recordings/sensor.json")
    with guarded(), pytest.raises(ValueError, match="it is a pipe"):
        make_plan(OWN, root, FrameSpec(2))


def test_links_inside_and_a_linked_root_are_followed(tmp_path):
    own_recordings(tmp_path / "real")
    (tmp_path / "real/recordings/a/77.bin").symlink_to("0.bin")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/recordings").symlink_to(tmp_path / "real/recordings")
    assert len(make_plan(OWN, tmp_path / "root", FrameSpec(2)).recordings) == 21


@pytest.mark.parametrize("name", ["a\\1", "\\g<0>", "a b", "ä", "日本", "a'b", "%s{0}", "-x"])
def test_names_that_mean_something_elsewhere(tmp_path, name):
    root = own_recordings(tmp_path / "events", (name, "b"))
    splits = load_data(DataRequest("recordings", root, steps=2))
    assert name in splits.info.class_names
    assert check_set(OWN, root).sound
    assert name in load_data(DataRequest("folder", image_folder(tmp_path / "images", (name, "b")))).info.class_names


def png(width, height, data=b"\0" * 50):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (png(9000, 9000), "pixels, and 67,108,864 are the most"),
        (png(12000, 12000), "pixels, and 67,108,864 are the most"),
        (png(60000, 60000), "DecompressionBombError"),
        (png(9, 9), "Cannot read the image"),
        (png(9, 9)[:40], "Cannot read the image"),
        (b"", "Cannot read the image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n", "UnidentifiedImageError"),
        (b"GIF89a" + bytes(50), "UnidentifiedImageError"),
        (b"not an image at all", "UnidentifiedImageError"),
    ],
)
def test_images_that_are_bombs_truncated_or_none(tmp_path, content, sentence):
    root = image_folder(tmp_path)
    (root / "train/a/0.png").write_bytes(content)
    with guarded(), pytest.raises(ValueError, match=sentence) as refusal:
        load_data(DataRequest("folder", root))
    assert "0.png" in str(refusal.value)


def test_an_empty_class(tmp_path):
    root = image_folder(tmp_path)
    (root / "train/c").mkdir()
    (root / "test/c").mkdir()
    with pytest.raises(FileNotFoundError, match="The class c has no images in"):
        load_data(DataRequest("folder", root))


def test_sizes_and_steps_that_would_fill_the_machine(tmp_path):
    root = image_folder(tmp_path)
    for request in (
        DataRequest("folder", root, size=10**6),
        DataRequest("digits", steps=10**9),
        DataRequest("digits", steps=60_000),
        DataRequest("digits", size=8000),
    ):
        with guarded(20.0), pytest.raises(ValueError, match=r"steps must be|most that (is|can be) held in memory"):
            load_data(request)


@pytest.fixture(params=["zip", "tar"])
def hostile_archive(request, tmp_path):
    """An archive with a way out in it, whose hash is the published one."""
    root = tmp_path / "deep/root"
    path = root / f"NMNIST/Train.{request.param}"
    path.parent.mkdir(parents=True)
    names = ("../../escaped", str(tmp_path / "absolute"), "Train/0/00001.bin")
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
            link = zipfile.ZipInfo("Train/0/link.bin")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
    else:
        with tarfile.open(path, "w") as archive:
            for name in names[:1]:
                info = tarfile.TarInfo(name)
                info.size = 1
                archive.addfile(info, io.BytesIO(b"x"))
    archives = (Archive(path.name, hashlib.md5(path.read_bytes()).hexdigest()),)
    return replace(event_set("nmnist"), archives=archives), root, tmp_path


def test_archives_stay_in_their_folder(hostile_archive):
    chosen, root, around = hostile_archive
    try:
        unpack_all(chosen, root)
    except ValueError as error:
        if "cannot be unpacked" not in str(error):
            raise
    assert not (around / "absolute").exists()
    assert not any(around.rglob("escaped")) or (root / "NMNIST/escaped").exists()
    assert not [p for p in around.rglob("*") if p.is_symlink()]


def test_a_data_root_that_cannot_be_written_to(tmp_path, monkeypatch):
    root = own_recordings(tmp_path / "root")
    (root / "frames").write_text("a file where the folder should be")  # which stops root, too
    assert check_set(OWN, root).events == 1000
    plan = make_plan(OWN, root, FrameSpec(2))
    with pytest.raises(ValueError, match=r"Frames cannot be written to .*SACCADE_CACHE"):
        prepare(plan)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "elsewhere"))
    store = prepare(make_plan(OWN, root, FrameSpec(2)))
    assert store.folder.is_relative_to(tmp_path / "elsewhere/frames/recordings")
    assert len(store) == 20


def test_what_a_killed_writer_left_goes_with_the_next_that_writes(tmp_path):
    old, young, other = (tmp_path / f".{name}.part" for name in ("a.json.1", "a.json.2", "b.json.3"))
    for leftover in (old, young, other):
        leftover.write_text("half")
    for leftover in (old, other):
        os.utime(leftover, (time.time() - 7200,) * 2)
    write_text(tmp_path / "a.json", "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["a.json", young.name, other.name])


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b'{"x": 3}', b"[" * 10**6, b'{"a": ' * 10**5, b"1" * 10**5])
def test_a_memory_of_hashes_that_is_damaged_is_forgotten(tmp_path, content):
    memory, file = tmp_path / "contents.json", tmp_path / "file"
    file.write_bytes(b"x")
    memory.write_bytes(content.replace(b"x", str(file).encode()))
    with guarded():
        assert content_hashes([file], memory) == {file: hashlib.sha256(b"x").hexdigest()}
    assert json.loads(memory.read_text())
