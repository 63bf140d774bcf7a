"""Pure operations, one folder each: a readable reference and the kernels that must equal it."""

from saccade.ops.lif import LIFSpec, active_backends, lif, lif_step
from saccade.ops.plumbing.ran import take_ran
from saccade.ops.plumbing.reuse import empty_cache
from saccade.ops.surrogate import Surrogate, surrogate

__all__ = ["LIFSpec", "Surrogate", "active_backends", "empty_cache", "lif", "lif_step", "surrogate", "take_ran"]
