"""Archives of arrays: read as written, or refused before anything large is allocated."""

from __future__ import annotations

import io
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from guard import LONG, guarded
from numpy.lib import format as npy

sys.path.append(str(Path(__file__).parents[1] / "events"))
from test_fuzz import damage

from saccade.arrays import read_arrays
from saccade.files import FileError


def archive(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_arrays_come_back(tmp_path):
    made = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "c": np.array(["x", "yz"]),
        "d": np.float32(3),
        "e": np.zeros((0, 4), np.uint8),
    }
    read = read_arrays(archive(tmp_path / "a.npz", **made))
    assert read.keys() == made.keys()
    for name, value in made.items():
        assert np.array_equal(read[name], value)
        assert read[name].dtype == np.asarray(value).dtype
        assert read[name].flags.writeable


def test_a_bomb_an_object_and_a_lying_header_are_refused(tmp_path):
    path = archive(tmp_path / "bomb.npz", a=np.zeros(2**23))
    assert path.stat().st_size < 2**17
    with guarded(memory=2**25), pytest.raises(FileError, match=r"1 arrays claim 67,108,992 bytes"):
        read_arrays(path, most=2**25)

    with pytest.raises(FileError, match="is not the object"):
        read_arrays(archive(tmp_path / "code.npz", a=np.array([print], dtype=object)))

    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as lie:
        lie.writestr("a.npy", header.getvalue() + bytes(8))
    with guarded(), pytest.raises(FileError, match=r"is not the float64 \[1099511627776\] that it claims to be"):
        read_arrays(tmp_path / "lie.npz")


def test_damaged_archives_are_refused_or_whole(tmp_path):
    draw = random.Random(8)
    made = np.arange(100)
    path = archive(tmp_path / "a.npz", a=made, b=made * 2)
    sound, refused = path.read_bytes(), 0
    for _ in range(300 * LONG):
        path.write_bytes(damage(sound, draw))
        try:
            with guarded():
                read = read_arrays(path)
        except FileError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert all(np.array_equal(value, made) or np.array_equal(value, made * 2) for value in read.values())
    assert refused > 150
