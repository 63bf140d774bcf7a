"""DVS128 Gesture: people before a DVS128 who wave, clap, drum.

Amir et al.: "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017. 29 people under up to five
lights; a file holds one trial, and a table of labels cuts it into gestures. Official split, by person: 1 to 23 train,
24 to 29 test.

A gesture is the events with start <= t < end of its row, which gives 1,176 + 288 samples, as in SpikingJelly. (The
paper counts 1,342; tonic's archive was cut otherwise and has 1,077 + 264.)
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from saccade.data.events.recording import RecordingError
from saccade.data.events.sets.base import Archive, EventSet, Found, Recording, files_in, first_tree
from saccade.data.events.splits import TEST, TRAIN, read_split
from saccade.files import read_file

CLASSES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
ORIGINAL = (("DvsGesture", ".aedat"), ("extract/DvsGesture", ".aedat"), ("", ".aedat"))
CONVERTED = (("events_np", ".npz"),)
MOST_TABLE_BYTES = 2**20
HEADER = ["class", "startTime_usec", "endTime_usec"]


def find(folder: Path) -> Found:
    """The gestures below `folder`, from the original trials or from SpikingJelly's converted files."""
    remarks: list[str] = []
    if original := first_tree(folder, ORIGINAL, ("user*.aedat",)):
        recordings = [r for path in files_in(original[0], (original[1],)) for r in _gestures(path, remarks)]
        remarks += _against_lists(original[0], recordings)
    elif converted := first_tree(folder, CONVERTED, ("train", "test")):
        recordings = [r for part in (TRAIN, TEST) for r in _converted(converted[0] / part, remarks)]
    else:
        recordings = []
    recordings.sort(key=lambda r: (r.name.partition("/")[0], r.window_us or (0, 0), r.name))  # trial by trial
    return Found(recordings, CLASSES, tuple(remarks))


def labels_path(trial: Path) -> Path:
    """The table of labels that belongs to a trial."""
    return trial.with_name(f"{trial.stem}_labels.csv")


def read_labels(path: Path) -> list[tuple[int, int, int]]:
    """Rows (label from 0, start_us, end_us) of a table of labels."""
    text = read_file(path, MOST_TABLE_BYTES, RecordingError).decode("utf-8", errors="replace")
    header, *lines = [[cell.strip() for cell in line.split(",")] for line in text.split("\n") if line.strip()] or [[]]
    if header != HEADER:
        raise RecordingError(path, f"its first line must be {','.join(HEADER)}.")
    rows = []
    for number, line in enumerate(lines, 2):
        if len(line) != 3 or not all(cell.isascii() and cell.isdecimal() and len(cell) < 19 for cell in line):
            raise RecordingError(path, f"line {number} must be three whole numbers: {','.join(line)!r}.")
        label, start, end = map(int, line)
        if not (1 <= label <= len(CLASSES) and start < end):
            raise RecordingError(
                path, f"line {number} must have a class from 1 to {len(CLASSES)} and start < end: {line}."
            )
        rows.append((label - 1, start, end))
    return rows


def _gestures(trial: Path, remarks: list[str]) -> list[Recording]:
    table = labels_path(trial)
    if not table.is_file():
        remarks.append(f"{trial} has no table of labels {table.name}, so it is left out.")
        return []
    person = _person(trial.stem)
    if person is None:
        remarks.append(f"{trial} is of no known person (user01 to user29), so it is in no split, and left out.")
        return []
    seen: Counter[int] = Counter()
    gestures = []
    for label, start, end in read_labels(table):
        name = f"{trial.stem}/{label}_{seen[label]}"
        seen[label] += 1
        gestures.append(Recording(name, trial, label, _part(person), person, (start, end)))
    return gestures


def _converted(folder: Path, remarks: list[str]) -> list[Recording]:
    recordings = []
    for label in range(len(CLASSES)):
        for path in files_in(folder / str(label), (".npz",)) if (folder / str(label)).is_dir() else ():
            trial, _, number = path.stem.rpartition("_")
            person = _person(trial)
            if person is None or _part(person) != folder.name:
                remarks.append(f"{path} does not belong into {folder.name} by the official split, so it is left out.")
                continue
            recordings.append(Recording(f"{trial}/{label}_{number}", path, label, folder.name, person))
    return recordings


def _person(trial: str) -> str | None:
    match = re.match(r"user\d\d(?=_)", trial)
    split = read_split("dvs128-gesture")
    return match[0] if match and match[0] in split["train_users"] + split["test_users"] else None


def _part(person: str) -> str:
    return TEST if person in read_split("dvs128-gesture")["test_users"] else TRAIN


def _against_lists(tree: Path, recordings: list[Recording]) -> list[str]:
    """What trials_to_train.txt and trials_to_test.txt, where present, say otherwise than the split by person."""
    remarks = []
    there = {(r.path.name, r.part) for r in recordings}
    for part in (TRAIN, TEST):
        official = tree / f"trials_to_{part}.txt"
        if not official.is_file():
            continue
        text = read_file(official, MOST_TABLE_BYTES).decode("utf-8", errors="replace")
        listed = {line.strip() for line in text.splitlines() if line.strip()}
        held = {name for name, its_part in there if its_part == part}
        remarks += [f"{tree / name} is listed in {official.name}, but missing." for name in sorted(listed - held)]
        remarks += [
            f"{tree / name} is in the {part} part, but not listed in {official.name}." for name in sorted(held - listed)
        ]
    return remarks


DVS128_GESTURE = EventSet(
    name="dvs128-gesture",
    summary="gestures of 29 people, 128x128, 1,176 + 288, 11 classes",
    folder="DVS128Gesture",
    size=(128, 128),
    policy="gestures",
    find=find,
    layout="DvsGesture/user<nn>_<light>.aedat and ..._labels.csv",
    archives=(Archive("DvsGesture.tar.gz", "8a5c71fb11e24e5ca5b11866ca6c00a1"),),
    page="https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794",
)
