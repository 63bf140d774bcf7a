"""saccade push: the weights of a run to the Hugging Face hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from saccade.cli.arguments import parse
from saccade.errors import require
from saccade.files import read_object
from saccade.runs import CARD, PROBE, RESULT

TEXT = """Put the weights of a finished run, their card and a model card made of it on the Hugging Face hub; others then
load them by create_model(weights="hf:OWNER/NAME"). Nothing else of the run is sent.

The account is that of `hf auth login` or $HF_TOKEN. As everywhere on the hub, a new repository is public unless
--private is given."""


@dataclass(kw_only=True)
class PushArguments:
    """What goes where, and on which terms."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a finished run that passes `saccade check`."""
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """Repository on the hub; made if it is not there."""
    licence: str | None = None
    """Under which others may use the weights, e.g. apache-2.0, mit or cc-by-4.0; asked for if the terminal can be."""
    private: bool = False
    """Make a new repository private."""


def main(words: Sequence[str]) -> int:
    """Check the run, push, and say where it is and how it is loaded."""
    arguments = parse(PushArguments, words, "saccade push", text=TEXT)
    require("huggingface_hub", "hub")
    for library in ("filelock", "safetensors", "torchmetrics"):
        require(library, "train")
    card = _checked(arguments.run)
    licence = _licence(arguments.licence or card.get("license"))

    from saccade.models.hub import push
    from saccade.models.sources import HUB

    address = push(arguments.run, arguments.repository, licence, _energy(arguments.run, card), arguments.private)
    print(f"{address}\nLoad it with: saccade.create_model(weights={HUB + arguments.repository!r})")
    return 0


def _checked(path: Path) -> dict[str, Any]:
    """The card of a run that is finished and whole; ValueError otherwise."""
    from saccade.models.weights import read_card
    from saccade.train.running.integrity import inspect_run

    if not (path / RESULT).is_file() and path.is_dir():
        raise ValueError(
            f"The run in {path} has not ended: there is no {RESULT}. Go on with it by --resume, then push."
        )
    findings = inspect_run(path).findings
    wrong = [f for f in findings if f.level == "error" or (f.level == "stale" and not f.file.startswith(PROBE))]
    if wrong:
        what = "; ".join(f"{finding.file} {finding.what}" for finding in wrong)
        raise ValueError(f"The run in {path} is not whole, so it is not pushed: {what} See: saccade check {path}")
    return read_card(path / CARD)


def _licence(named: str | None) -> str:
    if not named and sys.stdin is not None and sys.stdin.isatty():
        named = input("Licence of the weights (e.g. apache-2.0, mit, cc-by-4.0): ")
    if not named or not named.strip():
        raise ValueError(
            "Under which licence may others use the weights? Say it with --licence, e.g. --licence apache-2.0: nobody "
            "else can know, and without one nobody may use them."
        )
    return named.strip()


def _energy(path: Path, card: dict[str, Any]) -> dict[str, Any] | None:
    """What `saccade energy` found of these very weights."""
    file = path / PROBE / "energy.json"
    found = read_object(file) if file.is_file() else None
    return found if found is not None and found.get("weights_sha256") == card["sha256"] else None
