"""Where an experiment runs and in which number type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from saccade.ops.plumbing import bfloat
from saccade.ops.plumbing.ran import say_once
from saccade.train.config import Experiment

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Machine:
    """A device, and the type of automatic mixed precision on it (None: plain float32)."""

    device: torch.device
    autocast: torch.dtype | None = None
    #: of the weights
    dtype: torch.dtype = torch.float32

    @property
    def precision(self) -> str:
        """The number type by name."""
        return str(self.autocast or self.dtype).removeprefix("torch.")


def choose_device(name: str) -> torch.device:
    """The device for "auto" (a GPU if there is one), "cpu" or "cuda".

    Raises:
        ValueError: a GPU was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device='cuda' was asked for, but torch {torch.__version__} sees no CUDA GPU. Use device='auto' or 'cpu'; "
            f"`saccade doctor` says more."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_autocast(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of automatic mixed precision; None: plain float32.

    "auto" means bfloat16 on a GPU that computes in it, else float32. A CPU that does not multiply bfloat16 is given
    float32 for it, with one line that says so: it would be slower.

    Raises:
        ValueError: float16 without a GPU.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else None
    if precision == "float16" and device.type != "cuda":
        raise ValueError("precision='float16' needs a GPU; on a CPU use 'float32' or 'bfloat16'.")
    if precision == "bfloat16" and device.type == "cpu" and bfloat.units() is None:
        say_once("This processor does not multiply bfloat16 (no AVX512-BF16, no AMX): float32, which is faster here.")
        return None
    return {"float32": None, "float64": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def laid_out_for(machine: Machine, model: Module) -> Module:
    """The same network with its convolutions' weights channels last on a GPU, whose convolutions want it so.

    What they put out is then channels last too, and the kernels between them keep it.
    """
    return model.to(memory_format=torch.channels_last) if machine.device.type == "cuda" else model


def choose_machine(experiment: Experiment, local_rank: int = 0) -> Machine:
    """Device and number type of an experiment, for one of the processes on this machine.

    Raises:
        ValueError: there are fewer GPUs than processes.
    """
    device = choose_device(experiment.device)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise ValueError(f"There are more processes on this machine than its {count} GPUs. Use --devices {count}.")
        device = torch.device("cuda", local_rank) if local_rank else device
    dtype = torch.float64 if experiment.precision == "float64" else torch.float32
    return Machine(device, choose_autocast(experiment.precision, device), dtype)
