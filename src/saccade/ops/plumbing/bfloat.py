"""bfloat16 on the CPU: whether the processor multiplies it, and its memory as compiled loops know it.

numpy has no such type, so a loop is handed the bits of a bfloat16 tensor (the upper half of a float32's) as uint16. It
computes in float32, and reads and writes through `bfloat_kernel.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


@cache
def units() -> str | None:
    """What multiplies bfloat16 in this processor: "AMX", "AVX512-BF16", or None, where float32 is the faster."""
    if torch.backends.mkldnn.is_available():
        for name, found in (("AMX", "_is_amx_tile_supported"), ("AVX512-BF16", "_is_avx512_bf16_supported")):
            if getattr(torch.cpu, found, bool)():
                return name
    return None


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """What loops over memory of this type compute in."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def as_array(x: Tensor) -> Array:
    """The memory of a CPU tensor as numpy knows it, without a copy."""
    x = x.detach()
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()
