"""Do the highlighted pixels matter? Accuracy after deleting them, against deleting others.

The deletion test of RISE (Petsiuk, Das, Saenko, BMVC 2018, arXiv 1806.07421) at one share, with two controls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.models.network import SpikingNetwork
from saccade.probe.cam import grad_cam, upsample
from saccade.probe.hooks import device_of, probed

CONTROLS = ("top", "random", "other")


@dataclass(frozen=True)
class DeletionScores:
    """Accuracies from 0 to 1 after deleting a share of the pixels."""

    samples: int
    share: float
    layer: str
    intact: float
    #: the pixels that the averaged map ranks highest
    top: float
    #: pixels drawn at random; mean and standard deviation over draws
    random: float
    random_std: float
    draws: int
    #: the pixels that the map of the next sample ranks highest: the same kind of region in another place
    other: float
    #: share of the input's absolute value that went with the pixels
    top_removes: float
    random_removes: float
    other_removes: float

    def as_json(self) -> dict[str, Any]:
        """The fields as a dict."""
        return asdict(self)


def deletion_test(
    model: SpikingNetwork,
    batches: Iterable[tuple[Tensor, Tensor]],
    layer: str | None = None,
    share: float = 0.2,
    draws: int = 5,
    seed: int = 0,
) -> DeletionScores:
    """Delete the pixels that Grad-CAM of the predicted class ranks highest, and score the network again.

    A deleted pixel is 0 in all channels at all steps: no event, or the mean colour of normalised images. Pixels of
    equal rank are taken in random order.

    Args:
        batches: pairs (x, labels [B]), x images [B, C, H, W] or sequences [T, B, C, H, W].
        layer: see `grad_cam`.
        share: of the pixels, 0 to 1.
        draws: how often random pixels are drawn.
        seed: of all that is drawn.

    Raises:
        ValueError: no batches, a share outside 0 to 1, or what `grad_cam` raises.
    """
    if not 0 < share <= 1 or draws < 1:
        raise ValueError(
            f"The deletion test needs a share above 0 up to 1 and a draw or more, not {share} and {draws}."
        )
    device = device_of(model)
    generator = torch.Generator().manual_seed(seed)
    correct = {name: torch.zeros(draws if name == "random" else 1) for name in ("intact", *CONTROLS)}
    removed = dict.fromkeys(CONTROLS, 0.0)
    samples, total = 0, 0.0
    for x, labels in batches:
        x, labels = x.to(device), labels.to(device)
        cam = grad_cam(model, x, layer)
        layer = cam.layer
        maps = upsample(cam.averaged(), (x.shape[-2], x.shape[-1])).cpu()
        correct["intact"] += float((cam.logits.argmax(1) == labels).sum())
        for name in CONTROLS:
            for draw in range(draws if name == "random" else 1):
                keep = ~_highest(_ranking(name, maps), share, generator).to(device)
                remaining = x * keep[:, None]
                correct[name][draw] += _correct(model, remaining, labels)
                removed[name] += float((x - remaining).abs().sum()) / len(correct[name])
        total += float(x.abs().sum())
        samples += len(labels)
    if not samples or layer is None:
        raise ValueError("The deletion test needs at least one batch.")
    accuracy = {name: counts / samples for name, counts in correct.items()}
    return DeletionScores(
        samples=samples,
        share=share,
        layer=layer,
        intact=float(accuracy["intact"]),
        top=float(accuracy["top"]),
        random=float(accuracy["random"].mean()),
        random_std=float(accuracy["random"].std(correction=0)),
        draws=draws,
        other=float(accuracy["other"]),
        **{f"{name}_removes": removed[name] / max(total, 1e-12) for name in CONTROLS},
    )


def _ranking(name: str, maps: Tensor) -> Tensor:
    if name == "random":
        return torch.zeros_like(maps)  # all ranks are equal, so the order is random
    return maps.roll(-1, 0) if name == "other" else maps


def _highest(maps: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """[B, H, W] -> bool, True at round(share * H * W) highest places of each map, ties in random order."""
    flat = maps.flatten(1)
    shuffle = torch.rand(flat.shape, generator=generator).argsort(1)
    order = shuffle.gather(1, flat.gather(1, shuffle).argsort(dim=1, descending=True, stable=True))
    chosen = order[:, : max(1, round(share * flat.shape[1]))]
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, chosen, True).view_as(maps)


@torch.no_grad()
def _correct(model: SpikingNetwork, x: Tensor, labels: Tensor) -> float:
    with probed(model):
        return float((model(x).mean(0).argmax(1) == labels).sum())
