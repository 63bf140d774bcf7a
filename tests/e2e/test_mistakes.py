"""What the command line says to mistakes: one sentence, exit code 2, no traceback; and that it says so at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from saccade import cli
from saccade.cli import main

INSIDE = ("report", "cam", "gates", "energy")
MISTAKES = {
    "": (["train", "digit-dta"], r"Unknown recipe 'digit-dta'. Did you mean 'digits-dta'"),
    "verb": (["trian"], "Unknown command 'trian'. Did you mean 'train'"),
    "model": (["train", "--model", "msresnet"], "Unknown model 'msresnet'. Did you mean 'msresnet"),
    "attention": (["train", "--attention", "tjca"], "Unknown attention 'tjca'. Did you mean"),
    "option": (["train", "--atention", "tcja"], "Unknown option '--atention'. Did you mean '--attention'"),
    "data": (["train", "--data", "digit"], "Unknown data set 'digit'. Did you mean 'digits'"),
    "gate": (["train", "--attention-options", "kernel", "3"], "Unknown option 'kernel' of attention 'dta'"),
    "network": (["train", "--model-options", "depth", "3"], "Unknown option 'depth' of model 'msresnet18'"),
    "twice": (["train", "--model-options", "steps", "3"], "model_options cannot set steps"),
    "backend": (["train", "--backend", "cuda"], "Unknown LIF backend 'cuda'"),
    "width 0": (["train", "--width", "0"], "width must be a finite number above 0, not 0.0"),
    "width nan": (["train", "--width", "nan"], "width must be a finite number above 0, not nan"),
    "lr": (["train", "--lr", "nan"], "lr must be a finite number above 0, not nan"),
    "batch": (["train", "--batch-size", "0"], "batch_size must be a whole number, 1 or more, not 0"),
    "epochs": (["train", "--epochs", "0"], "epochs must be a whole number, 1 or more, not 0"),
    "steps": (["train", "--steps", "0"], "steps must be a whole number, 1 or more, not 0"),
    "too small": (["train", "--model", "vggsnn", "--image-size", "8"], "halves its input 4 times"),
    "loss": (["train", "--loss", "hinge"], "Unknown loss 'hinge'"),
    "generator": (["train", "--model", "fsvae"], "fsvae generates images, so its loss is one of mmd, kld, not 'tet'"),
    "which run": (["train", "--resume"], "--resume needs --run-dir"),
    "no run": (["eval", "nowhere"], "nowhere is not the folder of a run"),
    "recipes": (["recipes", "x"], "Unknown recipe 'x'"),
    "no folder": (["train", "--run-dir", "/proc/x", "--max-batches", "1"], "The folder /proc/x cannot be made"),
    **{f"{verb} of nothing": ([verb], f"saccade {verb} needs the folder of a run") for verb in INSIDE},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, expected = MISTAKES[name]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("saccade: ")
    assert expected in err
    assert out == ""
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # a run that could not start leaves no folder


def test_wrong_types_are_refused_by_option(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--epochs", "1.5"])
    assert "--epochs" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--mix", "hinge"])
    assert "Expected one of" in capsys.readouterr().err


def test_missing_data_says_where_it_is_looked_for(capsys, tmp_path):
    assert main(["train", "imagenet-dta", "--data-root", str(tmp_path), "--run-dir", str(tmp_path / "run")]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_and_a_damaged_checkpoint(capsys, tmp_path):
    run = ["--run-dir", str(tmp_path / "run")]
    words = ["train", "--width", "0.05", "--max-batches", "1", "--epochs", "1", "--lr", "0.1", *run]
    assert main(words) == 0
    capsys.readouterr()
    assert main(words) == 2
    assert "already exists; add --resume to go on with it, or choose another --run-dir" in capsys.readouterr().err
    assert main([*words, "--resume", "--lr", "0.5", "--attention", "none"]) == 2
    err = capsys.readouterr().err
    assert "attention ('dta' there, 'none' now)" in err
    assert "lr (0.1 there, 0.5 now)" in err
    assert main(["train", "cifar10-dta", "--run-dir", str(tmp_path / "run"), "--resume"]) == 2
    assert "holds a run of recipe 'digits-dta', not 'cifar10-dta'" in capsys.readouterr().err

    (tmp_path / "run" / "resume.ckpt").write_bytes(b"PK\x03\x04 no zip file")
    assert main([*words, "--resume"]) == 2
    assert "resume.ckpt cannot be read" in capsys.readouterr().err
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"{}")
    assert main(["eval", str(tmp_path / "run")]) == 2
    assert "weights.safetensors is truncated or not a safetensors file" in capsys.readouterr().err


def test_weights_that_do_not_fit_the_data(capsys, tmp_path):
    """A run scored on a data set of another C, as after a change of its config."""
    run = tmp_path / "run"
    assert main(["train", "--width", "0.05", "--max-batches", "1", "--epochs", "1", "--run-dir", str(run)]) == 0
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "rgb" / part / name).mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(tmp_path / "rgb" / part / name / "0.png")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data": "folder"}))
    capsys.readouterr()
    assert main(["eval", str(run), "--data-root", str(tmp_path / "rgb")]) == 2
    err = capsys.readouterr().err
    assert "MSResNet was built for in_channels=2 but the input" in err
    assert err.count("\n") == 1
    assert main(["eval", str(run), "--steps", "0"]) == 2
    assert "steps must be a whole number, 1 or more, not 0" in capsys.readouterr().err


def test_bugs_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(cli.VERBS, "broken", ("json:loads", ""))  # a ValueError, but not from our code
    with pytest.raises((ValueError, TypeError)):
        main(["broken", "{"])


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("saccade 0.")
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)


def modules_after(code):
    """Which heavy libraries a fresh interpreter has loaded after running `code`."""
    heavy = (
        "torch",
        "torchvision",
        "lightning",
        "torchmetrics",
        "matplotlib",
        "triton",
        "sklearn",
        "numba",
        "spikingjelly",
    )
    script = f"import sys\n{code}\nprint(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_help_and_mistakes_are_answered_without_torch():
    code = """
from saccade.cli import VERBS, main
for words in [["--help"], ["--version"], ["train", "digit"], ["train", "--lr", "nan"], ["train", "--x", "1"],
              ["recipes"], ["train", "cifar10-dta", "--help"], *([verb, "--help"] for verb in VERBS)]:
    try:
        assert main(words) in (0, 2)
    except SystemExit as stop:
        assert stop.code in (0, 2)
"""
    assert modules_after(code) == set()


def test_importing_saccade_and_its_networks_loads_torch_at_most():
    assert modules_after("import saccade") == set()
    code = (
        "import saccade; saccade.create_model('msresnet18', width=0.05); import saccade.ops, saccade.nn, saccade.models"
    )
    assert modules_after(code) == {"torch"}
