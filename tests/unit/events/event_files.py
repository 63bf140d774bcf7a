"""Event files for the tests: writers of every container, and decoders that read one event at a time.

The slow decoders are written from the formats' descriptions, share nothing with the package, and raise `BadFileError`
for files that must be refused. An event is (t_us, x, y, p).
"""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]
CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
AEDAT2_HEADER = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# AEChip: some.package.DVS128\r\n"
AEDAT31_HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
DAT_HEADER = b"% Data file containing CD events.\n% Version 2\n% Date 2017-10-31 11:29:21\n"


class BadFileError(Exception):
    """A file that must be refused."""


def some_events(count: int, size: tuple[int, int], seed: int = 0, duration_us: int = 300_000) -> list[Event]:
    """Events at random places, in order of time."""
    draw = random.Random(seed)
    times = sorted(draw.randrange(duration_us) for _ in range(count))
    return [(t, draw.randrange(size[1]), draw.randrange(size[0]), draw.randrange(2)) for t in times]


# --- writers


def atis(events: list[Event]) -> bytes:
    return b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in events)


def aedat2(events: list[Event]) -> bytes:
    """`events` in the orientation of the frames: column = 127 - y of the camera, row = 127 - x, p = 1 - its bit."""
    words = (((127 - x) << 8 | (127 - y) << 1 | (1 - p), t) for t, x, y, p in events)
    return AEDAT2_HEADER + b"".join(struct.pack(">II", *word) for word in words)


def aedat31(events: list[Event], packet: int = 40, invalid: tuple[int, ...] = ()) -> bytes:
    """In packets of so many events; `invalid` marks events (by number) that must not be counted."""
    chunks = [AEDAT31_HEADER, aedat31_packet(0, [(0, 0)])]  # a packet of another type, to be passed over
    for first in range(0, len(events), packet):
        part = list(enumerate(events[first : first + packet], first))
        words = [(x << 17 | y << 2 | p << 1 | (i not in invalid), t) for i, (t, x, y, p) in part]
        chunks.append(aedat31_packet(1, words, sum(i not in invalid for i, _ in part)))
    return b"".join(chunks)


def aedat31_packet(kind: int, words: list[tuple[int, int]], valid: int | None = None) -> bytes:
    count = len(words)
    header = struct.pack("<HHIIIIII", kind, 1, 8, 4, words[0][1] >> 31, count, count, count if valid is None else valid)
    return header + b"".join(struct.pack("<II", word, t & 2**31 - 1) for word, t in words)


def dat(events: list[Event]) -> bytes:
    body = b"".join(struct.pack("<II", t, p << 28 | y << 14 | x) for t, x, y, p in events)
    return DAT_HEADER + bytes((0, 8)) + body


def npz(events: list[Event], compressed: bool = False) -> bytes:
    t, x, y, p = np.array(events, np.int64).T
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, t=t, x=x, y=y, p=p)
    return file.getvalue()


# --- slow decoders: (events, skipped)


def slow_atis(content: bytes, size: tuple[int, int]) -> tuple[list[Event], int]:
    if len(content) % 5:
        raise BadFileError("length")
    events = []
    for i in range(0, len(content), 5):
        x, y, a, b, c = content[i : i + 5]
        events.append(((a & 127) * 65536 + b * 256 + c, x, y, a // 128))
    return on_sensor(events, size), 0


def slow_aedat2(content: bytes, size: tuple[int, int]) -> tuple[list[Event], int]:
    lines, body = text_lines(content, b"#", b"#End Of ASCII Header")
    if not content.startswith(b"#!AER-DAT2."):
        raise BadFileError("magic")
    for line in lines:
        before, found, chip = line.partition(b"AEChip:")
        if (
            found
            and not before.strip(b"# ")
            and chip.strip()
            and chip.strip().split(b".")[-1] not in (b"DVS128", b"Tmpdiff128")
        ):
            raise BadFileError("camera")
    if len(body) % 8:
        raise BadFileError("length")
    events, skipped = [], 0
    for i in range(0, len(body), 8):
        address, t = struct.unpack(">II", body[i : i + 8])
        if address >= 65536:
            raise BadFileError("address")
        if address >= 32768:
            skipped += 1
            continue
        events.append((t, 127 - address // 256 % 128, 127 - address // 2 % 128, 1 - address % 2))
    return on_sensor(events, size), skipped


def slow_aedat31(content: bytes, size: tuple[int, int]) -> tuple[list[Event], int]:
    if not content.startswith(b"#!AER-DAT3.1"):
        raise BadFileError("magic")
    lines, body = text_lines(content, b"#", b"#!END-HEADER")
    if lines[-1] != b"#!END-HEADER":
        raise BadFileError("header")
    for line in lines:
        if line.split(b":")[0] == b"#Format" and line != b"#Format" and line.split(b":", 1)[1].strip() != b"RAW":
            raise BadFileError("format")
        if line == b"#Format":
            raise BadFileError("format")
    events, skipped, at = [], 0, 0
    while at < len(body):
        if at + 28 > len(body):
            raise BadFileError("packet header")
        kind, _, per_event, offset, overflow, capacity, number, valid = struct.unpack("<HHIIIIII", body[at : at + 28])
        if not (valid <= number <= capacity and per_event >= 8 and overflow < 2**31):
            raise BadFileError("packet header")
        if kind == 1 and (per_event, offset) != (8, 4):
            raise BadFileError("packet header")
        if at + 28 + capacity * per_event > len(body):
            raise BadFileError("truncated")
        if kind == 1:
            packet, marked = [], 0
            for i in range(number):
                word, t = struct.unpack("<II", body[at + 28 + 8 * i : at + 36 + 8 * i])
                marked += word % 2
                if word % 2 or valid == number:
                    if t >= 2**31:
                        raise BadFileError("time")
                    packet.append((overflow * 2**31 + t, word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1))
            if valid != number and marked != valid:
                raise BadFileError("valid")
            events += packet
            skipped += number - len(packet)
        at += 28 + capacity * per_event
    return on_sensor(events, size), skipped


def slow_dat(content: bytes, size: tuple[int, int]) -> tuple[list[Event], int]:
    lines, body = text_lines(content, b"%", None)
    fields = {line.split()[1]: line.split()[2] for line in lines if len(line.split()) == 3}
    if fields.get(b"Version") != b"2" or body[:1] not in (b"\0", b"\x0c") or body[1:2] != b"\x08" or len(body) % 8 != 2:
        raise BadFileError("header")
    events = []
    for i in range(2, len(body), 8):
        t, word = struct.unpack("<II", body[i : i + 8])
        if word >= 2**29:
            raise BadFileError("polarity")
        events.append((t, word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28))
    return on_sensor(events, size), 0


def on_sensor(events: list[Event], size: tuple[int, int]) -> list[Event]:
    if not events or any(x >= size[1] or y >= size[0] for _, x, y, _ in events):
        raise BadFileError("empty or outside")
    return events


def text_lines(content: bytes, mark: bytes, end: bytes | None) -> tuple[list[bytes], bytes]:
    lines = []
    while content[:1] == mark:
        line, newline, rest = content.partition(b"\n")
        if not newline or len(line) >= 4096 or any(byte > 127 for byte in line):
            raise BadFileError("header line")
        lines.append(line.rstrip())
        content = rest
        if end is not None and line.rstrip() == end:
            break
    return lines, content


# --- whole sets, in the official layouts


def nmnist_tree(root: Path, train: int = 4, test: int = 2) -> None:
    number = 0
    for part, count in (("Train", train), ("Test", test)):
        for digit in range(10):
            folder = root / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for _ in range(count):
                number += 1
                (folder / f"{number:05d}.bin").write_bytes(atis(some_events(200, (34, 34), number)))


def cifar10dvs_tree(root: Path, numbers: tuple[int, ...] = (0, 1, 10, 908, 909, 91)) -> None:
    for label, name in enumerate(CIFAR_CLASSES):
        folder = root / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        for k in numbers:
            content = aedat2(some_events(300, (128, 128), 1000 * label + k))
            (folder / f"cifar10_{name}_{k}.aedat").write_bytes(content)


def gesture_tree(
    root: Path, trials: tuple[str, ...] = ("user01_led", "user02_lab", "user23_led", "user24_led")
) -> None:
    folder = root / "DVS128Gesture" / "DvsGesture"
    folder.mkdir(parents=True)
    for seed, trial in enumerate(trials):
        (folder / f"{trial}.aedat").write_bytes(aedat31(some_events(2000, (128, 128), seed, 1_200_000)))
        rows = [f"{label},{100_000 * (label - 1)},{100_000 * label}" for label in range(1, 12)]
        table = "\n".join(["class,startTime_usec,endTime_usec", *rows, "11,1100000,1200000"]) + "\n"
        (folder / f"{trial}_labels.csv").write_text(table)
    for part, users in (("train", range(1, 24)), ("test", range(24, 30))):
        names = [f"{t}.aedat" for t in trials if int(t[4:6]) in users]
        (folder / f"trials_to_{part}.txt").write_text("\n".join(names) + "\n")


def caltech_tree(root: Path, classes: tuple[str, ...] = ("BACKGROUND_Google", "Faces_easy", "ant")) -> None:
    for label, name in enumerate(classes):
        folder = root / "NCaltech101" / "Caltech101" / name
        folder.mkdir(parents=True)
        for k in range(1, 12):
            content = atis(some_events(300, (180, 240), 100 * label + k))
            (folder / f"image_{k:04d}.bin").write_bytes(content)


TREES = {
    "nmnist": nmnist_tree,
    "cifar10-dvs": cifar10dvs_tree,
    "dvs128-gesture": gesture_tree,
    "n-caltech101": caltech_tree,
}
