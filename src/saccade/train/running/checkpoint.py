"""The checkpoint to resume from: Lightning's, with a checksum, tied to its experiment, read without running code.

It is written whole or not at all, and the one before it is kept: a file that the disk has damaged costs an epoch.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from saccade.atomic import replacing
from saccade.files import brief, sha256_of
from saccade.runs import CHECKPOINT_BEFORE
from saccade.train.config import Experiment, digest
from saccade.train.running.provenance import versions

_NEEDED = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")
#: key of what ties a checkpoint to its experiment; those of 0.1.0 have none, and no checksum
TIE = "saccade"
#: stands before the checksum at the end of the file
MARK = b"saccade sha256 "


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


def tie(experiment: Experiment) -> dict[str, Any]:
    """What a checkpoint says about where it comes from."""
    return {"experiment": digest(experiment), "threads": torch.get_num_threads(), "versions": versions()}


class RunCheckpointIO(CheckpointIO):
    """Saves with a checksum under a temporary name, keeps the file before, and loads tensors and plain values only.

    Args:
        experiment: what is trained.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any = None) -> None:
        path = Path(path)
        if path.is_file():
            _keep(path)
        with replacing(path) as temporary:
            torch.save({**checkpoint, TIE: tie(self.experiment)}, temporary)
            checksum = sha256_of(temporary)
            with temporary.open("ab") as file:
                file.write(MARK + checksum.encode())

    def load_checkpoint(
        self, path: str | os.PathLike, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike) -> None:
        Path(path).unlink(missing_ok=True)


def _keep(path: Path) -> None:
    """A second name for the file, so that it stays when the first name is given to another."""
    second = path.with_name(f".{CHECKPOINT_BEFORE}.{os.getpid()}.part")
    with suppress(OSError):  # a file system without links keeps one checkpoint
        second.unlink(missing_ok=True)
        os.link(path, second)
        second.replace(path.with_name(CHECKPOINT_BEFORE))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint as a dict, on the CPU; CheckpointError if the file is damaged or something else."""
    advice = f"Delete it and run again with --resume to start this run over, or copy an intact one to {path}."
    content = path.read_bytes()
    size = len(MARK) + 64
    body, end = content[:-size], content[-size:]
    marked = end.startswith(MARK)
    if marked and end[len(MARK) :] != hashlib.sha256(body).hexdigest().encode():
        raise CheckpointError(f"The checkpoint {path} cannot be read (it is damaged: another checksum). {advice}")
    try:
        checkpoint = torch.load(io.BytesIO(body if marked else content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its zip reader and unpickler meet
        raise CheckpointError(f"The checkpoint {path} cannot be read ({brief(error)}). {advice}") from None
    if not isinstance(checkpoint, dict) or any(not checkpoint.get(key) for key in _NEEDED):
        raise CheckpointError(f"{path} is not a checkpoint of a training run. {advice}")
    if TIE in checkpoint and not marked:
        raise CheckpointError(f"The checkpoint {path} cannot be read (its checksum is missing). {advice}")
    return checkpoint


def check_tie(checkpoint: dict[str, Any], experiment: Experiment, path: Path) -> str | None:
    """What is different from when the checkpoint was written, in words; None: nothing, or nobody knows (0.1.0).

    Raises:
        CheckpointError: it is of another experiment.
    """
    was, now = checkpoint.get(TIE), tie(experiment)
    if was is None:
        return None
    if was["experiment"] != now["experiment"]:
        raise CheckpointError(
            f"The checkpoint {path} is of another experiment than the config.json beside it. Bring the two that belong "
            "together, or choose another --run-dir."
        )
    changed = []
    if was["threads"] != now["threads"]:
        changed.append(f"{was['threads']} threads then, {now['threads']} now (OMP_NUM_THREADS)")
    libraries = sorted(was["versions"].keys() | now["versions"].keys())
    changed += [
        f"{name} {was['versions'].get(name, 'none')} then, {now['versions'].get(name, 'none')} now"
        for name in libraries
        if was["versions"].get(name) != now["versions"].get(name)
    ]
    if not changed:
        return None
    return f"resumed on something else ({'; '.join(changed)}), so its weights are not to the bit an undisturbed run's"
