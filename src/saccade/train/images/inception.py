"""FID and inception score, through torchmetrics, where torch-fidelity and the Inception weights are at hand.

The weights are never downloaded from here. Both metrics were made for photographs: Inception was trained on ImageNet.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

#: the file of torch-fidelity's "inception-v3-compat", the original TensorFlow weights that FID is defined by
WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
SPLITS = 10
#: generated images that both are computed of
GENERATED = 5000


def find_weights(given: Path | None = None) -> Path | str:
    """Where the Inception weights are; or, as a sentence, why FID and inception score cannot be computed."""
    if importlib.util.find_spec("torch_fidelity") is None:
        return "FID and inception score need torch-fidelity, which is not installed (pip install torch-fidelity)."
    path = given or Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_FILE
    if not path.is_file():
        return (
            f"FID and inception score need the Inception weights of torch-fidelity, {WEIGHTS_FILE}, which are not at "
            f"{path}. Put them there, or say where they are with --inception FILE."
        )
    return path


def inception_metrics(
    real: Iterable[Tensor], generated: Iterable[Tensor], weights: Path, device: torch.device
) -> dict[str, Any]:
    """FID and inception score with torchmetrics' standard settings.

    Args:
        real, generated: batches of images [B, 1 or 3, H, W] in [-1, 1]; grey ones are shown in three equal channels.
        weights: the file that `find_weights` names.

    Returns:
        `fid`, `inception_score`, `inception_score_std` (over 10 splits) and the `settings` that they hold for.
    """
    from torchmetrics.image.fid import NoTrainInceptionV3

    features = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(weights)).to(device)
    logits = NoTrainInceptionV3("inception-v3-compat", ["logits_unbiased"], str(weights)).to(device)
    return scores_from(real, generated, features, logits, device)


def scores_from(
    real: Iterable[Tensor], generated: Iterable[Tensor], features: nn.Module, logits: nn.Module, device: torch.device
) -> dict[str, Any]:
    """`inception_metrics` with given networks: uint8 images [B, 3, H, W] -> features or logits [B, F]."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    fid = FrechetInceptionDistance(features).to(device).set_dtype(torch.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `InceptionScore` will save all")  # logits of 5000 images: 20 MB
        score = InceptionScore(logits, splits=SPLITS).to(device)
    counts = {"real": 0, "generated": 0}
    for images in real:
        fid.update(as_rgb_bytes(images).to(device), real=True)
        counts["real"] += len(images)
    for images in generated:
        shown = as_rgb_bytes(images).to(device)
        fid.update(shown, real=False)
        score.update(shown)
        counts["generated"] += len(images)
    mean, std = score.compute()
    return {
        "fid": float(fid.compute()),
        "inception_score": float(mean),
        "inception_score_std": float(std),
        "settings": f"torchmetrics, inception-v3-compat, pool features (2048), bilinear antialiased resize to 299, "
        f"{counts['generated']} generated against {counts['real']} test images, {SPLITS} splits",
    }


def as_rgb_bytes(images: Tensor) -> Tensor:
    """Images [B, 1 or 3, H, W] in [-1, 1] -> uint8 [B, 3, H, W]."""
    return to_bytes(images).expand(-1, 3, -1, -1)


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8 0 to 255, the same shape."""
    return images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
