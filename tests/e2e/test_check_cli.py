"""saccade check: nothing to say of a whole run, and every damaged, missing or stale file by its name."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest

from saccade.cli import main

WORDS = [
    *(
        "train",
        "digits-dta",
        "--model",
        "fashion_net",
        "--model-options",
        "output_neuron",
        "False",
        "--attention",
        "tcja",
    ),
    *("--width", "0.05", "--epochs", "2", "--max-batches", "1", "--batch-size", "8", "--device", "cpu"),
]
DURABLE = [
    *("config.json", "metrics.csv", "resume.ckpt", "resume.before.ckpt"),
    *("weights.safetensors", "card.json", "result.json", "checksums.json"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check") / "run"
    assert main([*WORDS, "--run-dir", str(folder)]) == 0
    (folder / "probe").mkdir()
    looked_at = json.loads((folder / "card.json").read_text())["sha256"]
    (folder / "probe" / "gates.json").write_text(json.dumps({"weights_sha256": looked_at}))
    np.savez(folder / "probe" / "gates.npz", a=np.arange(50))
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def check(capsys, *paths):
    """Exit code, first line, findings."""
    capsys.readouterr()
    code = main(["check", *map(str, paths)])
    out, err = capsys.readouterr()
    assert err == ""
    first, *findings = out.splitlines()
    return code, first, findings


def test_a_whole_run_has_nothing_to_say(run, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, first, findings = check(capsys, run)
    assert (code, findings) == (0, [])
    assert first.endswith(f"{len(DURABLE) + 2} files are sound; no errors.")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", [*DURABLE, "probe/gates.npz"])
def test_a_flipped_bit_is_found_in_every_file(run, capsys, name):
    draw = random.Random(name)
    path = run / name
    whole = path.read_bytes()
    for _ in range(6):
        damaged = bytearray(whole)
        at = draw.randrange(len(damaged))
        if name == "probe/gates.npz":  # only its arrays have checksums
            at = whole.index(bytes(np.arange(50).tobytes()[-64:])) + draw.randrange(64)
        damaged[at] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        code, _, findings = check(capsys, run)
        if name == "checksums.json" and code == 0:
            assert json.loads(damaged) == json.loads(whole)  # a space more or less
            continue
        assert code == 1, (name, at)
        assert any(line.startswith("  error:") for line in findings)
        named = [line.split(":")[1].strip() for line in findings]
        assert name in named or name == "checksums.json", findings


@pytest.mark.parametrize("name", DURABLE)
@pytest.mark.parametrize("how", ["cut", "empty", "gone"])
def test_cut_empty_and_missing_files_are_named(run, capsys, name, how):
    path = run / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if how == "cut" else b"")
    code, _, findings = check(capsys, run)
    # a run without result has not ended; without the checkpoints, or the hashes, it has
    harmless = how == "gone" and name in ("result.json", "resume.ckpt", "resume.before.ckpt", "checksums.json")
    assert code == (0 if harmless else 1)
    assert name in " ".join(findings) or name.startswith("resume")


def test_files_of_two_runs_are_told(run, capsys):
    other = run.parent / "other"
    assert main([*WORDS, "--seed", "1", "--run-dir", str(other)]) == 0
    for names, said in (
        (["resume.ckpt"], "is of another experiment"),
        (["card.json"], "has another hash than card.json says"),
        (["weights.safetensors", "card.json"], "has seed 1, but the result 0"),
        (["config.json"], "is of another experiment"),
    ):
        mixed = run.parent / "mixed"
        shutil.rmtree(mixed, ignore_errors=True)
        shutil.copytree(run, mixed)
        for name in names:
            shutil.copy(other / name, mixed / name)
        code, _, findings = check(capsys, mixed)
        assert code == 1
        assert said in " ".join(findings)


def test_what_is_stale_or_left_over_is_no_error(run, capsys):
    (run / "probe" / "gates.json").write_text('{"weights_sha256": "0"}')
    (run / ".metrics.csv.1.part").write_text("epoch")
    code, _, findings = check(capsys, run)
    assert code == 0
    assert [line.split(":")[0].strip() for line in findings] == ["stale", "note"]
    assert main([*WORDS, "--run-dir", str(run), "--resume", "--epochs", "3"]) == 0
    code, _, findings = check(capsys, run)
    assert code == 0
    assert "looked at other weights" in " ".join(findings)
    assert (run / "earlier" / "epochs-2" / "checksums.json").is_file()


def test_what_is_no_run_is_said_and_several_are_looked_at(run, capsys):
    assert main(["check", str(run.parent / "nothing")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert main(["check", str(run.parent)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
    assert main(["check"]) == 2
    (run / "card.json").write_text("{")
    shutil.copytree(run, run.parent / "two")
    assert main(["check", str(run), str(run.parent / "two")]) == 1
    assert capsys.readouterr().out.count("card.json: it is no JSON") == 2


def test_a_grid_and_its_records(run, capsys):
    grid = run.parent / "grid"
    (grid / "records").mkdir(parents=True)
    shutil.copytree(run, grid / "runs" / "a-seed0")
    record = grid / "records" / "a-seed0.json"
    record.write_text((run / "result.json").read_text())
    code, _, _ = check(capsys, grid)
    assert code == 0
    record.write_text(json.dumps({**json.loads(record.read_text()), "test_accuracy": 2}))
    code, _, findings = check(capsys, grid)
    assert "has another test_accuracy than the result.json of its run" in findings[-1]
    record.write_text("{")
    code, _, findings = check(capsys, grid)
    assert code == 1
    assert "records/a-seed0.json: it is no JSON" in findings[-1]
