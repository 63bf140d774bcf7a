"""Time folded into the batch, for layers that know nothing of time."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def fold_time(x: Tensor) -> Tensor:
    """[T, B, ...] -> [T*B, ...]; no copy for contiguous memory."""
    return x.flatten(0, 1)


def unfold_time(x: Tensor, steps: int) -> Tensor:
    """[T*B, ...] -> [T, B, ...]; no copy."""
    return regular_gradient(x).unflatten(0, (steps, -1))


def regular_gradient(x: Tensor) -> Tensor:
    """x itself, whose gradient will have the strides that its memory format prescribes.

    Views leave any stride they like along an axis of one entry (a single frame, or frames one pixel high or wide), and
    torch's batch norm on the CPU (seen in torch 2.14.1) reads a channels-last gradient wrongly then, if its input was
    contiguous: gradients off by up to several times their size, in silence. Other shapes, or a GPU, are safe.
    """
    if x.ndim == 4 and 1 in x.shape and x.requires_grad and x.device.type == "cpu" and not _is_transformed():
        x.register_hook(_with_regular_strides)
    return x


def _with_regular_strides(grad: Tensor | None) -> Tensor | None:
    if grad is None:  # nothing came back along this path
        return None
    _, C, H, W = grad.shape
    if grad.is_contiguous():
        return grad.as_strided(grad.shape, (C * H * W, H * W, W, 1))
    if grad.is_contiguous(memory_format=torch.channels_last):
        return grad.as_strided(grad.shape, (C * H * W, 1, W * C, C))
    return grad.contiguous()


def _is_transformed() -> bool:
    """Whether torch.func or torch.compile is at work, which know no hooks on tensors."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


class TimeFolded(nn.Sequential):
    """Layers applied to every step at once: [T, B, ...] -> [T, B, ...].

    Time is folded into the batch, so batch norms inside see the statistics of all T*B samples, as both papers do.
    """

    def forward(self, x: Tensor) -> Tensor:
        return unfold_time(super().forward(fold_time(x)), x.shape[0])
