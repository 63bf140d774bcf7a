"""A network of the user's own, as `saccade.Sequential`, beside the same layers as a class of the package's kind.

    python benchmarks/own_network.py [--rounds N] [--threads N] [--malloc default|kept]
    python benchmarks/own_network.py --table [--check]    # write the table of docs/your-experiment.md

{convolution - batch norm - LIF with TCJA, then with DTA - max pooling} twice and a linear layer, on recordings. A step
is forward, cross-entropy of the mean over steps, backward and SGD. `modules` calls the same modules in a loop, as one
would without saccade's engines. Times are interleaved; memory is what the resident memory rises by during a step, in a
process of its own, the median of five. Writes results/own_network.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import saccade
from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import memory, timing
from saccade.bench.cases import learning_step
from saccade.models import Classifier

RESULT = ROOT / "benchmarks" / "results" / "own_network.json"
PAGE = "docs/your-experiment.md"
STEPS, BATCH, SIZE, CHANNELS, CLASSES = 10, 8, 32, 64, 11
WAYS = ("saccade.Sequential", "a class of the package's kind", "modules")


def layers() -> list[nn.Module]:
    """What the user writes."""
    found: list[nn.Module] = []
    for inputs, attention in ((2, "tcja"), (CHANNELS, "dta")):
        conv = nn.Conv2d(inputs, CHANNELS, 3, padding=1, bias=False)
        gate = saccade.create_attention(attention, channels=CHANNELS, steps=STEPS)
        found += [conv, nn.BatchNorm2d(CHANNELS), saccade.LIF(), gate, nn.MaxPool2d(2)]
    return [*found, nn.Flatten(), nn.Linear(CHANNELS * (SIZE // 4) ** 2, CLASSES)]


class BuiltIn(Classifier):
    """The same layers, said as the package's own networks say theirs."""

    def __init__(self) -> None:
        super().__init__(num_classes=CLASSES, steps=STEPS, in_channels=2)
        conv1, norm1, lif1, gate1, pool1, conv2, norm2, lif2, gate2, pool2, flat, linear = layers()
        self.conv1, self.norm1, self.neuron1, self.pool1 = conv1, norm1, saccade.nn.GatedNeuron(lif1, gate1), pool1
        self.conv2, self.norm2, self.neuron2, self.pool2 = conv2, norm2, saccade.nn.GatedNeuron(lif2, gate2), pool2
        self.flatten, self.head = flat, linear

    def links(self) -> Any:
        return self.named_children()


class Modules(nn.Module):
    """The layers called one after the other, torch's with time folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers())

    def forward(self, x: Tensor) -> Tensor:
        current = x
        for layer in self.layers:
            if isinstance(layer, saccade.nn.Attention):
                x = layer(x, current)
            elif isinstance(layer, saccade.LIF):
                current, x = x, layer(x)
            else:
                x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return x


def network(way: str) -> nn.Module:
    torch.manual_seed(0)
    if way == "saccade.Sequential":
        return saccade.Sequential(*layers(), steps=STEPS, in_channels=2)
    return BuiltIn() if way == WAYS[1] else Modules()


def training(way: str) -> Callable[[], Tensor]:
    """One training step."""
    net = network(way)
    x = torch.randn(STEPS, BATCH, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return learning_step(net, x, torch.arange(BATCH) % CLASSES)


def peak(way: str) -> float:
    """MB that a step raises the resident memory by, in a process of its own."""
    return memory.printed(__file__, "--peak-of", way, "--threads", str(torch.get_num_threads()))


def rows(ways: dict[str, Any]) -> Iterable[Sequence[str]]:
    yield "the same layers as", "ms a step (quartiles)", "times as fast as modules", "peak MB"
    for way, row in ways.items():
        ms = f"{row['ms_median']:.0f} ({row['ms_q1']:.0f} to {row['ms_q3']:.0f})"
        yield way, ms, f"{row['speedup_median']:.2f}", "" if row["peak_MB"] is None else f"{row['peak_MB']:.0f}"


def generated(result: dict[str, Any]) -> str:
    return f"{table(rows(result['ways']))}\n\nMeasured on {measured_on(result)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--malloc", choices=("default", "kept"), default="default")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--peak-of", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.table:
        results = json.loads(arguments.result.read_text())
        rewrite(PAGE, "own_network.py", {"own": generated(results)}, arguments.check)
        return
    if arguments.peak_of:
        print(memory.rise(training(arguments.peak_of)))
        return
    if arguments.malloc == "kept":
        timing.keep_heap()
    found: dict[str, Any] = dict(
        timing.summary(timing.interleave({way: training(way) for way in WAYS}, arguments.rounds), "modules")
    )
    for way, row in found.items():
        row["peak_MB"] = median(peak(way) for _ in range(5)) if memory.CLEAR_REFS.exists() else None
    environment = timing.environment(torch.device("cpu"))
    shape = [STEPS, BATCH, 2, SIZE, SIZE]
    result = {**environment, "rounds": arguments.rounds, "input": shape, "ways": found}
    write_text(arguments.result, json.dumps(result, indent=1) + "\n")
    for row in rows(found):
        print(*row, sep="  ")


if __name__ == "__main__":
    main()
