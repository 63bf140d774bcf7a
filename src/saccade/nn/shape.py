"""Changes of shape between the layers of a network, as modules that a chain can name."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from saccade.nn.folding import fold_time, unfold_time
from saccade.nn.together import draw_rows


class SpaceMean(nn.Module):
    """Mean over height and width: [T, B, C, H, W] -> [T, B, C]."""

    link: ClassVar[str] = "pool"

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(3, 4))


class Flat(nn.Module):
    """[T, B, C, H, W] -> [T, B, C*H*W]."""

    link: ClassVar[str] = "shape"

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2)


class FrameSize(nn.Module):
    """Frames of the size that a network was built for: others are pooled to it, or refused.

    Args:
        owner: the network, named in the error.
        size: (H, W).
        resizes: average-pool other sizes to this one, instead of a ValueError.
    """

    link: ClassVar[str] = "shape"

    def __init__(self, owner: str, size: tuple[int, int], resizes: bool = False) -> None:
        super().__init__()
        self.owner, self.size, self.resizes = owner, size, resizes

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        if self.size == (H, W):
            return x
        if self.resizes:
            return unfold_time(nn.functional.adaptive_avg_pool2d(fold_time(x), self.size), len(x))
        raise ValueError(
            f"{self.owner} was built for input_size=({self.size[0]}, {self.size[1]}) but the input is {H} x {W} "
            f"({list(x.shape)}). Build it with input_size=({H}, {W}) or resize the input."
        )

    def extra_repr(self) -> str:
        return f"{self.size[0]} x {self.size[1]}, " + ("resizes" if self.resizes else "refuses others")


class SequenceDropout(nn.Module):
    """Dropout with one mask for all steps of a sample: a unit that is off is off for the whole sequence.

    [T, B, F] or [T, B, C, H, W]; with `channels`, whole channels are off.
    """

    link: ClassVar[str] = "dropout"

    def __init__(self, p: float = 0.5, channels: bool = False) -> None:
        super().__init__()
        self.mask = nn.Dropout2d(p) if channels else nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.mask.p == 0:
            return x
        return x * draw_rows(lambda rows: self.mask(x.new_ones(rows, *x.shape[2:])), x.shape[1])
