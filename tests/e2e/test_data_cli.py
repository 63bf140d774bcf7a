"""saccade data: list, prepare, check and show, as a user types them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from saccade.cli import main


@pytest.fixture
def root(tmp_path, monkeypatch):
    """N-MNIST as it is published, only smaller: 3 + 1 recordings of each digit."""
    draw = random.Random(0)
    for part, count in (("Train", 3), ("Test", 1)):
        for digit in range(10):
            folder = tmp_path / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for k in range(count):
                times = sorted(draw.randrange(300_000) for _ in range(400))
                records = (
                    bytes((draw.randrange(34), draw.randrange(34), draw.randrange(2) << 7 | t >> 16)) for t in times
                )
                content = b"".join(r + bytes((t >> 8 & 255, t & 255)) for r, t in zip(records, times, strict=True))
                (folder / f"{10 * k + digit:05d}.bin").write_bytes(content)
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *words) -> tuple[int, str]:
    code = main(["data", *words])
    streams = capsys.readouterr()
    return code, streams.out + streams.err


def test_help_and_mistakes(capsys):
    code, text = said(capsys)
    assert code == 0
    assert all(verb in text for verb in ("list", "prepare", "check", "show"))
    code, text = said(capsys, "chek")
    assert code == 2
    assert "'chek'. Did you mean 'check'?\n" in text
    code, text = said(capsys, "prepare", "nmist")
    assert code == 2
    assert "Did you mean 'nmnist'?" in text


@pytest.mark.usefixtures("root")
def test_list(capsys):
    code, text = said(capsys, "list")
    assert code == 0
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert " found " in lines["nmnist"]
    assert "not found: CIFAR10DVS" in lines["cifar10-dvs"]
    code, text = said(capsys, "list", "cifar10-dvs")
    assert code == 0
    assert "airplane.zip  MD5 0afd5c4bf9ae06af762a77b180354fdd" in text


def test_prepare_check_show(root, capsys):
    code, text = said(capsys, "prepare", "nmnist", "--steps", "6")
    assert code == 0
    assert "nmnist: 30 training and 10 test recordings, split " in text
    assert "100.00% of the events used" in text
    assert "[T, C, H, W] = [6, 2, 34, 34] as uint8" in text
    assert "Frames: T=6 by count, 34x34, of 40 recordings" in said(capsys, "list", "nmnist")[1]

    code, text = said(
        capsys, "prepare", "nmnist", "--steps", "6", "--by", "time", "--window-us", "10000", "--size", "17"
    )
    assert code == 0
    assert "[6, 2, 17, 17]" in text
    share = float(text.partition("%")[0].rpartition(" ")[2])
    assert 10 < share < 30  # 60 of 300 ms

    code, text = said(capsys, "check", "nmnist")
    assert code == 0
    assert "nmnist: 30 train, 10 test recordings, 16,000 events." in text
    assert text.endswith("No errors.\n")

    pytest.importorskip("matplotlib")
    for words in (
        ("nmnist", "--recording", "test/7/00007"),
        (str(root / "NMNIST/Test/7/00007.bin"), "--sensor", "34", "34"),
    ):
        out = root / "picture.png"
        code, text = said(capsys, "show", *words, "--out", str(out))
        assert code == 0
        assert "400 events in 0.29" in text
        assert out.read_bytes().startswith(b"\x89PNG")
        out.unlink()


def test_check_fails_on_errors(root, capsys):
    (root / "NMNIST/Train/3/00003.bin").write_bytes(b"")
    code, text = said(capsys, "check", "nmnist")
    assert code == 1
    assert "00003.bin: it is empty" in text
    assert text.endswith("1 error: mend it before training on this.\n")
    code, text = said(capsys, "prepare", "nmnist")
    assert code == 2
    assert "00003.bin: it is empty" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "nmnist", "--recording", "test/7/7"), "near it are test/7/00007"),
        (("show", "NMNIST/Test/7/00007.bin"), "does not say how large its sensor is. Say it with --sensor"),
        (("show", "nmnist", "--out", "a.txt"), "must be named with one of .png, .svg, .pdf"),
        (("show", "nmnist", "--steps", "0"), "1 frame or more, not steps=0"),
        (("prepare", "nmnist", "--size", "40"), "larger than the sensor"),
        (("check", "cifar10-dvs"), "There are no recordings of cifar10-dvs"),
        (("prepare", "dvs128-gesture", "--download"), "has to be fetched by hand"),
        (("list", "cifar"), "Did you mean"),
    ],
)
@pytest.mark.usefixtures("root")
def test_mistakes_are_answered_with_a_sentence(capsys, words, sentence):
    code, text = said(capsys, *words)
    assert code == 2
    assert text.startswith("saccade: ")
    assert sentence in text


def test_in_a_process_of_its_own(root):
    environment = {**os.environ, "SACCADE_DATA": str(root)}
    run = subprocess.run(
        [sys.executable, "-m", "saccade", "data", "prepare", "nmnist"], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    folder = Path(run.stdout.splitlines()[-1].rpartition(" in ")[2])
    assert (folder / "index.json").is_file()
