"""Chains of batch norm, LIF, 2x2 pooling and convolution as one autograd node that saves one tensor; sums and products.

CPU only, compiled by numba. The readable form of it is the chain of modules itself, which the tests compare it with.
"""

from saccade.ops.composite.node import Composite, Plan
from saccade.ops.composite.passes import batch_moments, channels_last
from saccade.ops.composite.pointwise import NormAdd, Scale

__all__ = ["Composite", "NormAdd", "Plan", "Scale", "batch_moments", "channels_last"]
