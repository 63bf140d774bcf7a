"""Images, tables, indices and memories, damaged at random: read as they say, or refused; never a hang or a crash.

Thousands of cases more with SACCADE_FUZZ=20.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from guard import LONG, guarded
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "events"))
import event_files as files
from test_fuzz import damage

from saccade.data.events import DamagedCacheError, FrameSpec, RecordingError, event_set, make_plan, open_store, prepare
from saccade.data.events.fingerprint import content_hashes
from saccade.data.events.sets.gesture import read_labels
from saccade.data.events.sets.own import find_size
from saccade.data.events.store import index_hash
from saccade.data.folder import decode_image

LABELS = b"class,startTime_usec,endTime_usec\r\n1,5,9\r\n2,9,12\r\n"


def images() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    written = {}
    for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        written[kind] = file.getvalue()
    return written


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("kind", "sound"), images().items(), ids=images())
def test_damaged_images(tmp_path, kind, sound):
    draw = random.Random(kind)
    path = tmp_path / f"image.{kind.lower()}"
    refused = 0
    for _ in range(80 * LONG):
        path.write_bytes(damage(sound, draw))
        try:
            with guarded():
                picture = decode_image(str(path))
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert picture.mode == "RGB"
    assert refused > 10


def test_damaged_tables_and_sensors(tmp_path):
    draw = random.Random(2)
    table, sensor = tmp_path / "user01_led_labels.csv", tmp_path / "sensor.json"
    for _ in range(300 * LONG):
        table.write_bytes(damage(LABELS, draw))
        sensor.write_bytes(damage(b'{"height": 34, "width": 34}', draw))
        for read, fits in (
            (lambda: read_labels(table), lambda rows: all(0 <= row[0] < 11 and row[1] < row[2] for row in rows)),
            (lambda: find_size(tmp_path), lambda size: all(1 <= side <= 2**15 for side in size)),
        ):
            try:
                with guarded():
                    assert fits(read())
            except RecordingError:
                pass


@pytest.fixture
def cache(tmp_path):
    files.nmnist_tree(tmp_path, 1, 1)
    return prepare(make_plan(event_set("nmnist"), tmp_path, FrameSpec(2))).folder


def strange(draw, value):
    """A JSON value with something in it exchanged."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        name = draw.choice(list(value))
        return {**value, name: strange(draw, value[name])}
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        return [*value[:at], strange(draw, value[at]), *value[at + 1 :]]
    return draw.choice((None, 0, -1, 1.5, 10**30, "", "../../x", [], {}, [1], True, "clips-00000.npy", value))


def test_an_index_that_matches_its_own_hash_and_is_no_index(cache):
    draw = random.Random(4)
    path = cache / "index.json"
    sound = json.loads(path.read_text())
    sound.pop("sha256")
    opened = 0
    for _ in range(400 * LONG):
        index = strange(draw, sound)
        path.write_text(json.dumps({**index, "sha256": index_hash(index)} if isinstance(index, dict) else index))
        try:
            with guarded():
                store = open_store(cache)
        except DamagedCacheError:
            continue
        opened += 1
        assert len(store) == 20
        for row in range(20):
            assert store.clip(row).shape == store.shape
        assert min(store.column("label")) >= 0
    assert opened < 300 * LONG


def test_a_damaged_index_and_memory(cache):
    draw = random.Random(5)
    index = cache / "index.json"
    memory = cache.parent / "contents.json"
    sound, remembered = index.read_bytes(), memory.read_bytes()
    for _ in range(100 * LONG):
        index.write_bytes(damage(sound, draw))
        memory.write_bytes(damage(remembered, draw))
        with guarded():
            assert len(content_hashes([index], memory)) == 1
        try:
            with guarded():
                store = open_store(cache)
        except DamagedCacheError:
            continue
        assert json.loads(index.read_bytes()) == json.loads(sound)  # a space more or less
        assert len(store) == 20
