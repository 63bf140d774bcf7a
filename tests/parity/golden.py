"""Reading the golden files: what the authors' released code computes, in float64.

Networks store no parameters; `parameters(golden)` makes them from the file's seed, which is also how the stored outputs
were produced.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Golden:
    arrays: dict[str, np.ndarray]
    meta: dict

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def input(self, i: int = 0) -> Tensor:
        return self.tensor(f"input{i}").clone().requires_grad_()

    def gradients(self) -> dict[str, Tensor]:
        """Parameter gradients by the released key."""
        return {k.removeprefix("grad/"): self.tensor(k) for k in self.arrays if k.startswith("grad/")}

    def with_shared_ties(self) -> Golden:
        """With the gradients of maxima that are shared between ties, where the file has them."""
        shared = {k: v for k, v in self.arrays.items() if k.startswith("gradshared/")}
        if not shared:
            return self
        rest = {k: v for k, v in self.arrays.items() if not k.startswith(("grad/", "gradslice/", "grad_input"))}
        renamed = {k.replace("gradshared/", "grad/"): v for k, v in shared.items()}
        renamed["grad_input0"] = renamed.pop("grad/input0")
        return Golden({**rest, **renamed}, {k: v for k, v in self.meta.items() if k != "gradslice"})

    def gradient_rows(self) -> dict[str, Tensor]:
        """Of large parameters, by the released key: the gradient's rows 0, n, 2n, ..., and its other rows as NaN."""
        rows = {}
        for key, text in self.meta.get("gradslice", {}).items():
            step = int(re.match(r"rows 0, (\d+)", text)[1])
            rows[key] = torch.full(self.meta["state_shapes"][key], math.nan, dtype=torch.float64)
            rows[key][::step] = self.tensor(f"gradslice/{key}")
        return rows

    def state(self) -> dict[str, Tensor]:
        """The released state dict: stored for small modules, made from the seed for networks but for what is stored."""
        stored = {k.removeprefix("state/"): self.tensor(k) for k in self.arrays if k.startswith("state/")}
        made = fill(self.meta) if "state_shapes" in self.meta else {}
        return {**{k: torch.from_numpy(np.asarray(v)) for k, v in made.items()}, **stored}


def load(name: str) -> Golden:
    """A golden file, of the tests' own folder or of `golden` in the folder that SACCADE_SHARED names, or a skip."""
    shared = os.environ.get("SACCADE_SHARED")
    folders = [FOLDER, *([Path(shared) / "golden"] if shared else [])]
    path = next((path for path in (folder / f"{name}.npz" for folder in folders) if path.is_file()), None)
    if path is None:
        pytest.skip(f"{name}.npz is too large for the repository: set SACCADE_SHARED to the folder that has golden/")
    with np.load(path) as z:
        arrays = {k: z[k] for k in z.files}
    return Golden(arrays, json.loads(bytes(arrays.pop("meta")).decode()))


def fill(meta: dict) -> dict[str, np.ndarray]:
    """The parameter values of a golden network, in the order of the sorted keys; `aliases` share their first's."""
    shapes, aliases = meta["state_shapes"], meta.get("aliases", {})
    rng = np.random.Generator(np.random.PCG64(meta["seed"]))
    out = {key: _value(key, tuple(shapes[key]), meta["gain"], rng) for key in sorted(shapes) if key not in aliases}
    return {**out, **{key: out[first] for key, first in aliases.items()}}


def _value(key: str, shape: tuple[int, ...], gain: float, rng: np.random.Generator) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    if key.endswith("running_var"):
        return 0.5 + rng.random(shape)
    if len(shape) > 1:
        return gain * rng.standard_normal(shape) * math.sqrt(2.0 / int(np.prod(shape[1:])))
    value = 0.1 * rng.standard_normal(shape)
    is_scale = key.endswith("weight") or key.rsplit(".", 1)[-1] in ("scale_t", "scale_c")
    return value + 1.0 if is_scale else value
