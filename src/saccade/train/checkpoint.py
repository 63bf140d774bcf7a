"""The checkpoint to resume from: Lightning's, written whole or not at all, read without running pickled code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from saccade.atomic import replacing

_NEEDED = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")


class AtomicCheckpointIO(CheckpointIO):
    """Saves under a temporary name and renames; loads tensors and plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any = None) -> None:
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: str | os.PathLike, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike) -> None:
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint as a dict, on the CPU; ValueError if the file is damaged or something else."""
    advice = f"Delete it and run again with --resume to start this run over, or copy an intact one to {path}."
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises whatever its zip reader and unpickler meet
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"The checkpoint {path} cannot be read ({reason}). {advice}") from None
    if not isinstance(checkpoint, dict) or any(key not in checkpoint for key in _NEEDED):
        raise ValueError(f"{path} is not a checkpoint of a training run. {advice}")
    return checkpoint
