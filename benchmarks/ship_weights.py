"""Put the weights of a finished run into the package: NAME.safetensors, its card and a golden input and output.

    python benchmarks/ship_weights.py RUN_DIR NAME

The golden samples are two of the run's test samples, as integers, with the network's logits in float64. A potential
that comes too near to its threshold would fire on one machine and not on another, and then no tolerance on the logits
means anything. So samples are taken whose every spike stays as it is when all weights are changed at random by `NOISE`
of their size, in each of `DRAWS` draws: over a hundred times what rounding to float32 changes them by.
(The smallest distance from a threshold would not do as a measure: gates saturate at 1, and a potential of just that
sits on the threshold of 1, safely, since firing takes more.)
"""

from __future__ import annotations

import argparse
import copy
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saccade.atomic import replacing
from saccade.cli.inside import InsideArguments, OpenRun, open_run
from saccade.data.memory import ImageTensors
from saccade.models import SpikingNetwork
from saccade.models.sources import PRETRAINED, locate
from saccade.models.weights import load_weights, read_card
from saccade.nn import LIF
from saccade.probe.hooks import probed

MOST_BYTES = 1_500_000
CANDIDATES, BATCH = 128, 32
DRAWS, NOISE = 8, 1e-5


@torch.no_grad()
def look(model: SpikingNetwork, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [T, B, K], and all spikes of every sample, [B, N]."""
    found: list[Tensor] = []
    with probed(model) as handles:
        handles += [
            module.register_forward_hook(lambda m, i, spikes: found.append(spikes.transpose(0, 1).flatten(1) > 0))
            for module in model.modules()
            if isinstance(module, LIF)
        ]
        logits = model(x)
    return logits, torch.cat(found, 1)


@torch.no_grad()
def disturbed(model: SpikingNetwork, seed: int) -> SpikingNetwork:
    """A copy whose weights, and statistics of norms, are changed at random by up to `NOISE` of their size."""
    draw = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(model)
    for tensor in (*other.parameters(), *other.buffers()):
        if tensor.is_floating_point():
            tensor.mul_(1 + NOISE * (2 * torch.rand(tensor.shape, generator=draw, dtype=tensor.dtype) - 1))
    return other


def steady(model: SpikingNetwork, x: Tensor) -> Tensor:
    """[B]: whether every spike of a sample is the same in all `DRAWS` copies."""
    _, spikes = look(model, x)
    same = torch.ones(len(spikes), dtype=torch.bool)
    for seed in range(DRAWS):
        same &= (look(disturbed(model, seed), x)[1] == spikes).all(1)
    return same


def as_input(counts: Tensor, part: ImageTensors, temporal: bool, kind: torch.dtype) -> Tensor:
    """Integer samples [B, ...] as the network takes them: scaled, time first."""
    x = counts.to(kind) * part.scale.to(kind) + part.offset.to(kind)
    return x.transpose(0, 1) if temporal else x


def golden(run: OpenRun) -> dict[str, np.ndarray]:
    """The arrays of NAME.npz.

    Raises:
        ValueError: test samples that are not integers in memory, or none that is safe.
    """
    part = run.dataset
    if not isinstance(part, ImageTensors):
        raise ValueError(f"The test part of {run.info.name} is no ImageTensors, whose samples are integers in memory.")
    exact = load_weights(run.path, backend="reference")[0].double()

    def inputs(rows: Tensor, kind: torch.dtype) -> Tensor:
        return as_input(part.samples[rows], part, run.info.temporal, kind)

    rows = torch.arange(0, len(part), max(1, len(part) // CANDIDATES))
    keep = torch.cat([steady(exact, inputs(r, torch.float64)) for r in rows.split(BATCH)])
    print(f"{int(keep.sum())} of {len(rows)} test samples keep all spikes")
    chosen = rows[keep][[0, -1]] if int(keep.sum()) >= 2 else rows[:0]
    if len(chosen) == 0:
        raise ValueError("A golden file needs two samples that keep all spikes. Try another run.")
    logits, _ = look(exact, inputs(chosen, torch.float64))
    single, _ = look(exact.float(), inputs(chosen, torch.float32))
    error = float((single - logits).abs().max())
    print(f"test samples {chosen.tolist()}; float32 changes the logits by {error:.2g} at most here")
    return {
        "x": part.samples[chosen].numpy(),
        "scale": part.scale.numpy(),
        "offset": part.offset.numpy(),
        "temporal": np.array(run.info.temporal),
        "rows": chosen.numpy(),
        "labels": part.labels[chosen].numpy(),
        "logits": logits.numpy(),
    }


def check(run_dir: Path, name: str) -> None:
    """ValueError for weights that should not ship."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"Names of weights are lower case with hyphens, as in digits-dta, not {name!r}.")
    files = locate(run_dir)
    size, commit = files.weights.stat().st_size, read_card(files.card)["commit"]
    if size > MOST_BYTES:
        raise ValueError(f"{files.weights} has {size:,} bytes; what ships has {MOST_BYTES:,} at most.")
    if commit is None or commit.endswith("+changes"):
        raise ValueError(
            f"{files.card} names the commit {commit!r}: train from a clean checkout, so that it can be found."
        )


def main() -> int:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, help="folder of a finished run")
    parser.add_argument("name", help="name for create_model(weights=NAME)")
    arguments = parser.parse_args()
    try:
        check(arguments.run_dir, arguments.name)
        arrays = golden(open_run(arguments.run_dir, InsideArguments(runs=(arguments.run_dir,), device="cpu")))
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    PRETRAINED.mkdir(exist_ok=True)
    base = PRETRAINED / arguments.name
    with replacing(base.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    files = locate(arguments.run_dir)
    for source, suffix in ((files.card, ".json"), (files.weights, ".safetensors")):
        with replacing(base.with_suffix(suffix)) as temporary:
            shutil.copyfile(source, temporary)
    for suffix in (".safetensors", ".json", ".npz"):
        print(f"{base.with_suffix(suffix).name}  {base.with_suffix(suffix).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
