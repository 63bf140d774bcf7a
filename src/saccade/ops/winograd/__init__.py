"""Winograd's convolution on the CPU, F(2 x 2, 3 x 3): 2.25 times fewer multiplications than the direct sum.

    Y = A^T [ (G g G^T) * (B^T d B) ] A        for each tile d of 4 x 4 inputs and its 2 x 2 outputs Y

summed over input channels before A is applied, so that the products are sixteen matrix multiplications, which oneDNN
does. Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, arXiv 1509.09308.

Frames are transformed some rows at a time, so that tiles (four times the input) stay in the cache. The error is that
of the direct sum or less, since fewer terms are added; tests hold it to that.
"""

from saccade.ops.winograd.conv import (
    PACKED,
    SAME,
    Convolution,
    Geometry,
    PackedConv,
    convolve,
    convolve_back,
    in_planes,
    met,
    packs_weights,
    suits,
)

__all__ = [
    "PACKED",
    "SAME",
    "Convolution",
    "Geometry",
    "PackedConv",
    "convolve",
    "convolve_back",
    "in_planes",
    "met",
    "packs_weights",
    "suits",
]
