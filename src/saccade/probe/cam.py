"""Grad-CAM over time: where a layer's activity speaks for a class, at every step.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization. ICCV 2017. arXiv 1610.02391. Shown for spiking networks by DTA-SNN (WACV 2025, arXiv 2503.10052).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.models.network import SpikingNetwork
from saccade.nn import Neuron
from saccade.nn.attention import GatedNeuron
from saccade.probe.hooks import find_layer, probed


@dataclass(frozen=True)
class CAM:
    """Grad-CAM of a batch."""

    #: [T, B, h, w], at the resolution of the layer; not negative unless `relu=False`
    maps: Tensor
    #: the class explained, [B]
    classes: Tensor
    #: mean over steps, [B, K]
    logits: Tensor
    layer: str

    def averaged(self) -> Tensor:
        """Mean of the maps over steps: [B, h, w]."""
        return self.maps.mean(0)

    def scaled(self) -> Tensor:
        """The maps divided by each sample's largest value over all steps, so that steps can be compared: 0 to 1.

        A sample whose maps are zero everywhere keeps its zeros.
        """
        peak = self.maps.amax(dim=(0, 2, 3), keepdim=True)
        return self.maps / torch.where(peak > 0, peak, torch.ones_like(peak))


def grad_cam(
    model: SpikingNetwork,
    x: Tensor,
    layer: str | None = None,
    classes: int | Sequence[int] | Tensor | None = None,
    relu: bool = True,
) -> CAM:
    """Grad-CAM of every step.

        cam[t, b] = ReLU(sum over c of a[t, b, c] A[t, b, c]),
        a[t, b, c] = mean over h, w of dy[b] / dA[t, b, c, h, w]

    with A the layer's output and y[b] the logit of the class, mean over steps. Through neurons the gradient is the
    surrogate's. At T=1 this is Grad-CAM.

    Args:
        model: a network with logits [T, B, K]. Its mode, gradients and hooks are as before afterwards.
        x: images [B, C, H, W] or a sequence [T, B, C, H, W].
        layer: name of the module whose output is A, as in `named_modules`; it must give [T, B, C, H, W] or the same
            folded, [T*B, C, H, W], and run once. Default: see `default_layer`.
        classes: one class for all samples, or one for each; default: the predicted ones.
        relu: keep only what speaks for the class.

    Raises:
        ValueError: unknown layer or class, or a layer whose output has no space to map.
    """
    layer = default_layer(model, x) if layer is None else layer
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> Any:
        # The graph starts here: cheaper than from the input, and there is one even if all weights are frozen.
        kept.append(_checked(output, layer).detach().requires_grad_())
        return kept[-1].clone()

    with probed(model) as handles, torch.enable_grad():
        handles.append(find_layer(model, layer).register_forward_hook(keep))
        logits_TBK = model(x)
        if len(kept) != 1:
            raise ValueError(
                f"Layer {layer!r} ran {len(kept)} times in this network; Grad-CAM needs one that runs once."
            )
        if not isinstance(logits_TBK, Tensor) or logits_TBK.ndim != 3:
            raise ValueError(f"Grad-CAM explains logits [T, B, K], which {type(model).__name__} does not give.")
        logits = logits_TBK.mean(0)
        chosen = _classes(classes, logits)
        score = logits.gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, kept[0])
    shape = (len(logits_TBK), len(logits))
    A, dA = (_sequence(tensor, shape, layer) for tensor in (kept[0].detach(), gradient))
    maps = (dA.mean(dim=(3, 4), keepdim=True) * A).sum(2)
    return CAM(maps.relu() if relu else maps, chosen, logits.detach(), layer)


def default_layer(model: SpikingNetwork, x: Tensor) -> str:
    """The last neuron (with its gate, if it has one) whose spikes still have height and width: the last stage's.

    Raises:
        ValueError: there is none.
    """
    found: list[str] = []
    gated = {f"{name}.neuron" for name, module in model.named_modules() if isinstance(module, GatedNeuron)}
    with probed(model) as handles, torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Neuron | GatedNeuron) and name not in gated:
                handles.append(module.register_forward_hook(_noter(name, found)))
        model(x)
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no neuron with height and width for inputs {list(x.shape)}. Name a layer."
        )
    return found[-1]


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [..., h, w] at the size of the input, bilinear: [..., H, W]."""
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    return F.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)


def _noter(name: str, found: list[str]) -> Any:
    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.ndim == 5 and output.shape[3] * output.shape[4] > 1:
            found.append(name)

    return note


def _checked(output: Any, layer: str) -> Tensor:
    if isinstance(output, Tensor) and output.ndim in (4, 5):
        return output
    shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise ValueError(
        f"Layer {layer!r} gives {shape}; Grad-CAM needs maps [T, B, C, H, W] or, folded, [T*B, C, H, W]. "
        "Name a convolution, a pooling or a neuron before the linear layers."
    )


def _sequence(x: Tensor, steps_and_batch: tuple[int, int], layer: str) -> Tensor:
    if x.ndim == 4 and len(x) == steps_and_batch[0] * steps_and_batch[1]:
        x = x.unflatten(0, steps_and_batch)
    if x.shape[:2] != steps_and_batch:
        T, B = steps_and_batch
        raise ValueError(
            f"Layer {layer!r} gives {list(x.shape)}, whose first axes are neither T={T}, B={B} nor T*B={T * B}."
        )
    return x


def _classes(classes: int | Sequence[int] | Tensor | None, logits: Tensor) -> Tensor:
    B, K = logits.shape
    if classes is None:
        return logits.argmax(1)
    chosen = torch.as_tensor(classes, dtype=torch.long, device=logits.device).expand(B)
    if bool(((chosen < 0) | (chosen >= K)).any()):
        raise ValueError(f"The network has classes 0 to {K - 1}, but class {chosen.tolist()} was asked for.")
    return chosen
