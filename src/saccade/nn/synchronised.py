"""Batch norm over the samples of all processes of a run.

torch's own `SyncBatchNorm` needs a GPU; this one runs wherever `torch.distributed` does, in float64 too.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from saccade.nn.norm import ThresholdBatchNorm
from saccade.nn.together import rank_and_processes


def synchronise_norms(network: nn.Module) -> None:
    """From now on all batch norms of a network take their moments over the batch of all processes, in place.

    Parameters, buffers and their names stay what they are. In evaluation mode nothing changes.

    Raises:
        ValueError: a kind of batch norm that cannot.
    """
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            if type(module) not in _SYNCHRONISED:
                raise ValueError(
                    f"{name} is a {type(module).__name__}, which cannot see the samples of other processes. Leave out "
                    f"sync_batchnorm, or use one of {', '.join(kind.__name__ for kind in _SYNCHRONISED)}."
                )
            # the class alone: the module may be known to others, who would keep the old one
            module.__class__ = cast(Any, _SYNCHRONISED[type(module)])


class _Moments(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, [N, C, ...], with mean and var over the rows of all processes.

    Forward exchanges 2 C + 1 numbers, backward 2 C. Two-pass moments of every process are merged (Chan, Golub, LeVeque
    1979), so nothing is lost where the mean is far from zero. Also returns mean, var (biased) and the count.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        over = [d for d in range(x.ndim) if d != 1]
        rows = x.numel() // x.shape[1]
        exact = torch.promote_types(x.dtype, torch.float32)
        var, mean = torch.var_mean(x.to(exact), over, correction=0)
        parts = _gathered(torch.cat([mean, var, mean.new_tensor([float(rows)])]))
        means, variances, counts = parts.split([len(mean), len(mean), 1], 1)
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        var = ((variances + (means - mean).square()) * counts).sum(0) / count
        y = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt(), count)
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, rstd, count = ctx.saved_tensors
        over = [d for d in range(x.ndim) if d != 1]
        shape = [-1 if d == 1 else 1 for d in range(x.ndim)]
        normal = (x.to(mean.dtype) - mean.view(shape)) * rstd.view(shape)
        grad_bias, grad_weight = grad.sum(over, dtype=mean.dtype), (grad * normal).sum(over)
        both = torch.cat([grad_bias, grad_weight])
        distributed.all_reduce(both)
        mean_grad, mean_product = (both / count).chunk(2)
        scale = rstd if weight is None else rstd * weight
        grad_x = (grad - mean_grad.view(shape) - normal * mean_product.view(shape)) * scale.view(shape)
        learned = weight is not None
        return (
            grad_x.to(x.dtype),
            grad_weight.to(weight.dtype) if learned else None,
            grad_bias.to(weight.dtype) if learned else None,
            None,
        )


def _gathered(numbers: Tensor) -> Tensor:
    """The numbers [n] of every process, [processes, n]."""
    parts = [torch.empty_like(numbers) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, numbers)
    return torch.stack(parts)


class _Synchronised(_BatchNorm):
    """A batch norm with moments of all processes; see `synchronise_norms`."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or rank_and_processes()[1] == 1:
            return super().forward(x)
        self._check_input_dim(x)
        scale = getattr(self, "scale", None)
        weight = self.weight if scale is None else scale * self.weight
        y, mean, var, count = _Moments.apply(x, weight, self.bias, self.eps)
        if self.track_running_stats:
            self._move(mean, var * (count / (count - 1)))
        return y

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class SynchronisedBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over all processes."""


class SynchronisedBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over all processes. Being another class, it is passed by in no fused kernel."""


class SynchronisedThresholdBatchNorm(_Synchronised, ThresholdBatchNorm):
    """`ThresholdBatchNorm` over all processes."""


_SYNCHRONISED: dict[type[_BatchNorm], type[_BatchNorm]] = {
    nn.BatchNorm1d: SynchronisedBatchNorm1d,
    nn.BatchNorm2d: SynchronisedBatchNorm2d,
    ThresholdBatchNorm: SynchronisedThresholdBatchNorm,
}
