"""The same kind of neuron in other libraries, where they are installed: [T, ...] -> [T, ...].

SpikingJelly's node is TCJA's neuron exactly. snnTorch's resets a step later, and Norse's box neuron resets by
subtraction: other spikes, the same work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Neuron = Callable[[Tensor], Tensor]


def spikingjelly() -> Neuron:
    """LIFNode(tau=2), ATan, detached reset, multi-step, eager."""
    from spikingjelly.activation_based import neuron, surrogate

    node = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(2.0), detach_reset=True, step_mode="m")

    def run(x: Tensor) -> Tensor:
        node.reset()
        return node(x)

    return run


def spikingjelly_compiled() -> Neuron:
    """The same through torch.compile, which needs a C++ compiler and half a minute."""
    return torch.compile(spikingjelly())


def snntorch() -> Neuron:
    """Leaky(beta=0.5), ATan, reset to zero, in a loop over time."""
    import snntorch as snn

    node = snn.Leaky(beta=0.5, spike_grad=snn.surrogate.atan(2.0), reset_mechanism="zero")

    def run(x: Tensor) -> Tensor:
        state, spikes = node.init_leaky(), []
        for x_t in x:
            spikes_t, state = node(x_t, state)
            spikes.append(spikes_t)
        return torch.stack(spikes)

    return run


def norse() -> Neuron:
    """LIFBoxCell, one state, in a loop over time."""
    from norse.torch import LIFBoxCell

    cell = LIFBoxCell()

    def run(x: Tensor) -> Tensor:
        state, spikes = None, []
        for x_t in x:
            spikes_t, state = cell(x_t, state)
            spikes.append(spikes_t)
        return torch.stack(spikes)

    return run


PEERS: dict[str, Callable[[], Neuron]] = {
    "spikingjelly": spikingjelly,
    "spikingjelly compiled": spikingjelly_compiled,
    "snntorch": snntorch,
    "norse": norse,
}


def find_peers(x: Tensor, names: tuple[str, ...] = tuple(PEERS)) -> tuple[dict[str, Neuron], dict[str, str]]:
    """(those that run on a small input like x, why the others do not)."""
    running: dict[str, Neuron] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            neuron = PEERS[name]()
            trial = x[:, :1].detach().clone().requires_grad_()
            neuron(trial).sum().backward()
            running[name] = neuron
        except Exception as error:  # another library's failure is a row of the table, not the end of the run
            missing[name] = reason(error)
    return running, missing


def reason(error: Exception) -> str:
    """Why another library has no row."""
    if isinstance(error, ModuleNotFoundError):
        return f"not installed ({error.name})"
    return f"fails here ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]})"
