"""saccade push and loading from the hub: the real client, in a process of its own, against a stand-in of the hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import Hub, running

import saccade
from saccade.cli import main
from saccade.models.hub import model_card, public_card
from saccade.models.sources import PRETRAINED

pytest.importorskip("huggingface_hub", reason="needs the extra hub")

TOKEN = "hf_notARealTokenButASecretOne"
TINY = ["--width", "0.05", "--steps", "2", "--max-batches", "1", "--epochs", "1", "--attention", "tcja"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("push") / "run"
    assert main(["train", "digits-dta", *TINY, "--run-dir", str(path)]) == 0
    return path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def hub(tmp_path):
    with running(TOKEN) as found:
        yield found


def saccade_with(hub: Hub, home: Path, *words: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, whose client talks to the stand-in alone."""
    environment = {
        **os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hf"), "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    program = [sys.executable, *words] if words[0] == "-c" else [sys.executable, "-m", "saccade", *words]
    return subprocess.run(
        program, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


LOAD = """
import saccade
model = saccade.create_model(weights="hf:someone/digits")
print(model.attention, model.steps, saccade.weights_card("hf:someone/digits")["license"])
"""


def test_weights_go_up_with_card_and_readme_alone_and_come_back(run, hub, tmp_path):
    assert main(["energy", str(run), "--samples", "4"]) == 0
    done = saccade_with(hub, tmp_path, "push", str(run), "someone/digits", "--licence", "mit", "--private")
    assert done.returncode == 0, done.stderr
    assert "saccade.create_model(weights='hf:someone/digits')" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    there = hub.repositories["someone/digits"]
    assert sorted(there) == ["README.md", "card.json", "weights.safetensors"]
    assert there["weights.safetensors"] == (run / "weights.safetensors").read_bytes()
    assert hub.visibility["someone/digits"] in ("private", True)
    readme = there["README.md"].decode()
    card = json.loads((run / "card.json").read_text())
    for text in ("license: mit", "library_name: saccade", card["sha256"], "| seed | 0 |", "CUT SHORT", "nJ per sample"):
        assert text in readme, text
    assert TOKEN not in readme
    loaded = saccade_with(hub, tmp_path, "-c", LOAD)
    assert loaded.stdout.split() == ["tcja", "2", "mit"], loaded.stderr
    assert ("GET", "/someone/digits/resolve/main/weights.safetensors") in hub.asked


def test_a_new_repository_is_public_as_everywhere_on_the_hub(run, hub, tmp_path):
    done = saccade_with(hub, tmp_path, "push", str(run), "someone/open", "--licence", "Apache-2.0")
    assert done.returncode == 0, done.stderr
    assert not hub.visibility["someone/open"]


def test_without_a_licence_nothing_is_pushed(run, hub, tmp_path):
    done = saccade_with(hub, tmp_path, "push", str(run), "someone/digits")
    assert done.returncode == 2
    assert "Under which licence may others use the weights? Say it with --licence" in done.stderr
    assert hub.asked == []


def test_a_wrong_token_is_a_sentence_that_does_not_show_it(run, hub, tmp_path):
    done = saccade_with(hub, tmp_path, "push", str(run), "someone/digits", "--licence", "mit", token="hf_another")
    assert done.returncode == 2
    assert "could not be pushed to the Hugging Face hub" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hf_another" not in done.stdout + done.stderr
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: (run / "result.json").unlink(), "has not ended: there is no result.json"),
        (lambda run: (run / "weights.safetensors").write_bytes(b"other"), "is not whole, so it is not pushed"),
        (lambda run: (run / "metrics.csv").write_text("epoch\n"), "is not whole, so it is not pushed"),
    ],
    ids=["unfinished", "weights", "metrics"],
)
def test_a_run_that_is_not_finished_and_whole_stays_here(run, capsys, damage, said):
    damage(run)
    assert main(["push", str(run), "someone/digits", "--licence", "mit"]) == 2
    assert said in capsys.readouterr().err


def test_a_repository_has_an_owner(run, capsys):
    assert main(["push", str(run), "digits", "--licence", "mit"]) == 2
    assert "is named owner/name, not 'digits'" in capsys.readouterr().err


@pytest.mark.parametrize("name", saccade.list_weights())
def test_a_model_card_says_all_that_the_card_does(name):
    card = json.loads((PRETRAINED / f"{name}.json").read_text())
    text = model_card(public_card(card, "Apache-2.0"), f"someone/{name}")
    assert "license: apache-2.0" in text
    assert f"weights='hf:someone/{name}'" in text
    assert f"{card['score']['test_accuracy']:.2%} of {card['score']['samples']} samples" in text
    for said in (card["recipe"], card["commit"], card["hardware"], card["data"]["name"]):
        assert said in text


def test_other_licences_and_code_of_ones_own_are_said_without_folders():
    card = json.loads((PRETRAINED / "digits-dta.json").read_text())
    own = public_card({**card, "code": {"file": "/home/somebody/net.py", "sha256": "0" * 64}}, "Ours-1.0")
    text = model_card(own, "a/b")
    assert "license: other" in text
    assert "license_name: Ours-1.0" in text
    assert "somebody" not in text + json.dumps(own)
    assert "net.py" in text
