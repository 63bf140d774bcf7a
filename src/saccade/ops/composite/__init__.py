"""Chains of batch norm, LIF, 2x2 pooling and convolution as one autograd node that saves one tensor.

CPU only, compiled by numba. The readable form of it is the chain of modules itself, which the tests compare it with.
"""

from saccade.ops.composite.node import Composite, Plan, batch_moments

__all__ = ["Composite", "Plan", "batch_moments"]
