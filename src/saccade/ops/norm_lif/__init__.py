"""Batch norm followed by a LIF neuron as one operation: `norm_lif(x, norm, decay, gain, spec, backend="auto")`.

A network spends most of its memory between a convolution and the next: the convolution's output, the normalised
current, the spikes. Fused, the current never exists.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saccade.ops.lif import triton as lif_triton
from saccade.ops.lif.spec import LIFSpec
from saccade.ops.norm_lif import reference, triton
from saccade.ops.plumbing.dispatch import Backend, choose

BACKENDS: dict[str, Backend] = {
    "triton": Backend(
        triton.norm_lif, lambda x, spec: lif_triton.unsupported(x, 0.0, 0.0, spec), lif_triton.unavailable, "cuda"
    ),
    "reference": Backend(reference.norm_lif, lambda *_: None, lambda: None),
}


def norm_lif(
    x: Tensor, norm: nn.BatchNorm2d, decay: float, gain: float, spec: LIFSpec, backend: str = "auto"
) -> Tensor:
    """Spikes of a LIF neuron that integrates the batch-normed x from rest.

    Args:
        x: the output of a convolution, [T, B, C, H, W].
        norm: a batch norm with weight, bias and running statistics. In training mode the statistics are those of all
            T * B pictures, and the running ones are updated, as `norm(x.flatten(0, 1))` does.
        decay, gain, spec: of the neuron.
        backend: "auto" (Triton on a GPU, where it takes the input), "triton" or "reference".

    Returns:
        Spikes in x's shape and dtype.

    Raises:
        ValueError: another shape, an unknown backend, or Triton asked for where it cannot run.
    """
    if x.ndim != 5 or x.shape[2] != norm.num_features:
        raise ValueError(f"norm_lif takes [T, B, {norm.num_features}, H, W], but got {list(x.shape)}.")
    chosen = choose("norm_lif", BACKENDS, backend, x, spec)
    batch_statistics = norm.training or norm.running_mean is None or norm.running_var is None
    if norm.running_mean is not None and norm.running_var is not None and not batch_statistics:
        mean, rstd = norm.running_mean, (norm.running_var + norm.eps).rsqrt()
    else:
        mean, var, rstd = _statistics(x, norm.eps, differentiable=chosen == "reference")
        _update(norm, mean.detach(), var.detach(), x.numel() // x.shape[2])
    if chosen == "reference":
        return reference.norm_lif(x, norm.weight, norm.bias, mean, rstd, decay, gain, spec)
    return triton.norm_lif(x, norm.weight, norm.bias, mean, rstd, batch_statistics, decay, gain, spec)


def _statistics(x: Tensor, eps: float, differentiable: bool) -> tuple[Tensor, Tensor, Tensor]:
    """mean, variance and 1 / sqrt(variance + eps) per channel."""
    if differentiable:
        return reference.statistics(x, eps)
    with torch.no_grad():
        if x.device.type != "cuda" or torch.compiler.is_compiling():
            return reference.statistics(x, eps)
        mean, rstd = torch.batch_norm_stats(x.flatten(0, 1), eps)  # reads half precision without a float32 copy
        return mean, rstd.pow(-2) - eps, rstd


@torch.no_grad()
def _update(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor, count: int) -> None:
    """The running statistics, with the unbiased variance, as torch's batch norm keeps them."""
    if not norm.training or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    share = 1 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_((var * (count / max(1, count - 1))).to(norm.running_var.dtype), share)
