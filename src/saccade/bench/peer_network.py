"""One network that every library can say, beside the same network said in other libraries.

{3x3 convolution, batch norm, LIF, max pooling} twice and a linear layer on [T, B, 2, H, W], without attention, which
the others do not have. Each is written as its library's own guide writes it: SpikingJelly's layers take all steps at
once, snnTorch's and Norse's neurons stand in a loop over time. The neurons are those of `bench/peers.py`.

    python -m saccade.bench.peer_network training spikingjelly '{"threads": 2, "kept": false, "shape": [10, 8, 2, 32]}'

prints by how many MB the resident memory rises during one step, in this process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from saccade.bench import timing
from saccade.bench.cases import BFLOAT16, learning_step, mixed
from saccade.bench.memory import CLEAR_REFS, printed, rise
from saccade.bench.peers import PEERS, reason
from saccade.engines.inference import deploy
from saccade.models.sequential import Sequential
from saccade.nn import LIF

#: T, B, channels of the input, height and width
SHAPE = (10, 8, 2, 32)
CHANNELS, CLASSES = 64, 11
#: ways of ours, besides those of `peers.PEERS`
TRAINING = ("saccade", *(way for way in BFLOAT16 if way == "saccade bfloat16"))
INFERENCE = (*TRAINING, "deploy float", "deploy int8")
KINDS = {"training": TRAINING, "inference": INFERENCE}


def layers(neuron: Callable[[], nn.Module], shape: tuple[int, ...], kind: Any = nn) -> list[nn.Module]:
    """The network's layers, of `kind.Conv2d` and so on, with a neuron of their own after every norm."""
    found: list[nn.Module] = []
    for inputs in (shape[2], CHANNELS):
        conv = kind.Conv2d(inputs, CHANNELS, 3, padding=1, bias=False)
        found += [conv, kind.BatchNorm2d(CHANNELS), neuron(), kind.MaxPool2d(2)]
    return [*found, kind.Flatten(), kind.Linear(CHANNELS * (shape[3] // 4) ** 2, CLASSES)]


def saccade(shape: tuple[int, ...]) -> nn.Module:
    """As `saccade.Sequential`."""
    return Sequential(*layers(partial(LIF.from_tau, 2.0), shape), steps=shape[0], in_channels=shape[2])


class Reset(nn.Module):
    """SpikingJelly's network, which is to be reset before every batch; compiled or not."""

    def __init__(self, net: nn.Module, compiled: bool) -> None:
        super().__init__()
        self.net = net
        self.run = torch.compile(net) if compiled else net

    def forward(self, x: Tensor) -> Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(self.net)
        return self.run(x)


def spikingjelly(shape: tuple[int, ...], compiled: bool = False) -> nn.Module:
    """SpikingJelly's layers and nodes in multi-step mode."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    node = partial(neuron.LIFNode, 2.0, surrogate_function=surrogate.ATan(2.0), detach_reset=True)
    net = nn.Sequential(*layers(node, shape, layer))
    functional.set_step_mode(net, "m")
    return Reset(net, compiled)


class Looped(nn.Module):
    """Layers in a loop over time, whose `neurons` take and return a state that `start` makes."""

    def __init__(self, layers: list[nn.Module], neurons: type[nn.Module], start: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layers, self.neurons, self.start = nn.ModuleList(layers), neurons, start

    def forward(self, x: Tensor) -> Tensor:
        state = {place: self.start(layer) for place, layer in enumerate(self.layers) if isinstance(layer, self.neurons)}
        return torch.stack([self.step(x_t, state) for x_t in x])

    def step(self, x: Tensor, state: dict[int, Any]) -> Tensor:
        for place, layer in enumerate(self.layers):
            if place in state:
                x, state[place] = layer(x, state[place])
            else:
                x = layer(x)
        return x


def snntorch(shape: tuple[int, ...]) -> nn.Module:
    """Torch's layers and snnTorch's Leaky in a loop over time."""
    import snntorch as snn

    leaky = partial(snn.Leaky, beta=0.5, spike_grad=snn.surrogate.atan(2.0), reset_mechanism="zero")
    return Looped(layers(leaky, shape), snn.Leaky, lambda neuron: neuron.init_leaky())


def norse(shape: tuple[int, ...]) -> nn.Module:
    """Torch's layers and Norse's LIFBoxCell in a loop over time."""
    from norse.torch import LIFBoxCell

    return Looped(layers(LIFBoxCell, shape), LIFBoxCell, lambda neuron: None)


BUILDERS: dict[str, Callable[[tuple[int, ...]], nn.Module]] = {
    "spikingjelly": spikingjelly,
    "spikingjelly compiled": partial(spikingjelly, compiled=True),
    "snntorch": snntorch,
    "norse": norse,
}


def build(way: str, shape: tuple[int, ...] = SHAPE) -> nn.Module:
    """The network in a library, with weights from seed 0 and norms that let its neurons fire."""
    torch.manual_seed(0)
    net = BUILDERS.get(way, saccade)(shape)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 2.0)
    return net


def call(kind: str, way: str, shape: tuple[int, ...] = SHAPE) -> Callable[[], Tensor]:
    """One training step or one inference, as a call without arguments."""
    net = build(way, shape)
    x = torch.randn(*shape, shape[3], generator=torch.Generator().manual_seed(1))
    if kind == "training":
        return learning_step(net, x, torch.arange(shape[1]) % CLASSES, mixed(net, way))
    run: Callable[[Tensor], Tensor] = net.eval()
    if way.startswith("deploy"):
        run = deploy(net, way.removeprefix("deploy "))
    return torch.no_grad()(partial(mixed(run, way), x))


def measure_peers(rounds: int, memory: bool = True, shape: tuple[int, ...] = SHAPE) -> dict[str, Any]:
    """Times, ratios to SpikingJelly eager (to the first that runs without it), memory; why a library has no row."""
    result: dict[str, Any] = {"shape": [*shape, shape[3]], "missing": {}}
    for kind, ours in KINDS.items():
        running: dict[str, Callable[[], Tensor]] = {}
        for way in (*PEERS, *ours):
            try:
                step = call(kind, way, shape)
                step()
                running[way] = step
            except Exception as error:
                if way not in PEERS:
                    raise
                result["missing"][way] = reason(error)
        rows: dict[str, Any] = dict(timing.summary(timing.interleave(running, rounds), next(iter(running))))
        for way, row in rows.items():
            row["peak_MB"] = _peak(kind, way, shape) if memory else None
        result[kind] = rows
    return result


def _peak(kind: str, way: str, shape: tuple[int, ...]) -> float | None:
    if not CLEAR_REFS.exists():
        return None
    settings = {"threads": torch.get_num_threads(), "kept": timing.heap_is_kept(), "shape": shape}
    return printed("-m", "saccade.bench.peer_network", kind, way, json.dumps(settings))


def main(kind: str, way: str, settings: str) -> None:
    chosen = json.loads(settings)
    torch.set_num_threads(chosen["threads"])
    if chosen["kept"]:
        timing.keep_heap()
    print(json.dumps(round(rise(call(kind, way, tuple(chosen["shape"]))), 1)))


if __name__ == "__main__":
    main(*sys.argv[1:])
