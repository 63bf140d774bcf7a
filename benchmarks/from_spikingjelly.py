"""Training speed and memory of SpikingJelly's networks, as they are and converted, for docs/spikingjelly.md.

    python benchmarks/from_spikingjelly.py [--networks NAME ...] [--rounds N] [--batch N] [--steps T] [--threads N]
                                           [--result FILE]
    python benchmarks/from_spikingjelly.py --table [--check]    # write the page's table from the JSON file

A step is forward, cross-entropy of the mean over steps, backward, and SpikingJelly's reset where it is needed. The same
weights, the same input; `compiled` is SpikingJelly's network under `torch.compile`. Times are interleaved, memory is
what the resident memory rises by during a step, in a process of its own. Writes results/spikingjelly.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import saccade
from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import memory, timing

RESULT = ROOT / "benchmarks" / "results" / "spikingjelly.json"
PAGE = "docs/spikingjelly.md"
WAYS = ("spikingjelly", "spikingjelly compiled", "saccade")
#: network -> (C, H, W) of its input
INPUTS = {
    "CIFAR10Net": (3, 32, 32),
    "DVSGestureNet": (2, 128, 128),
    "sew_resnet18": (3, 64, 64),
    "spiking_resnet18": (3, 64, 64),
    "spiking_vgg11_bn": (3, 64, 64),
    "tiny": (2, 8, 8),
}


def build(name: str) -> nn.Module:
    """A network as SpikingJelly ships it, with ATan and a detached reset, in step mode m."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
    from spikingjelly.activation_based.model import parametric_lif_net, sew_resnet, spiking_resnet, spiking_vgg

    torch.manual_seed(0)
    options: Any = {"surrogate_function": surrogate.ATan(), "detach_reset": True}
    if name == "tiny":
        conv, lif = layer.Conv2d(2, 4, 3, bias=False), neuron.LIFNode(**options)
        net: nn.Module = nn.Sequential(conv, layer.BatchNorm2d(4), lif, layer.Flatten(), layer.Linear(144, 10))
    elif hasattr(parametric_lif_net, name):
        net = getattr(parametric_lif_net, name)(spiking_neuron=neuron.ParametricLIFNode, **options)
    elif name == "sew_resnet18":
        net = sew_resnet.sew_resnet18(cnf="ADD", spiking_neuron=neuron.IFNode, **options)
    elif name == "spiking_resnet18":
        net = spiking_resnet.spiking_resnet18(spiking_neuron=neuron.LIFNode, **options)
    else:
        net = spiking_vgg.spiking_vgg11_bn(spiking_neuron=neuron.LIFNode, **options)
    functional.set_step_mode(net, "m")
    return net


def training(name: str, way: str, batch: int, steps: int) -> Callable[[], object]:
    """One training step of a network, run in one of the WAYS."""
    from spikingjelly.activation_based import functional

    net = build(name)
    x = torch.rand(steps, batch, *INPUTS[name], generator=torch.Generator().manual_seed(1))
    labels = torch.arange(batch) % 10
    fast: Any = saccade.from_spikingjelly(net, steps) if way == "saccade" else net
    fast = torch.compile(net) if way == "spikingjelly compiled" else fast

    def step() -> None:
        nn.functional.cross_entropy(fast(x).mean(0), labels).backward()
        net.zero_grad()
        if way != "saccade":
            functional.reset_net(net)

    return step


def measure(name: str, rounds: int, batch: int, steps: int) -> dict[str, Any]:
    """Times and peak memory of all ways that work, and why the others do not."""
    cases, failed = {}, {}
    for way in WAYS:
        case = training(name, way, batch, steps)
        try:
            case()
        except Exception as error:  # torch.compile fails in as many ways as it has parts
            if way != "spikingjelly compiled":
                raise
            failed[way] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            cases[way] = case
    rows: dict[str, Any] = dict(timing.summary(timing.interleave(cases, rounds), "spikingjelly"))
    for way, row in rows.items():
        row["peak_MB"] = peak(name, way, batch, steps) if memory.CLEAR_REFS.exists() else None
    shape = [steps, batch, *INPUTS[name]]
    return {"input": shape, "rounds": rounds, "ways": rows, "failed": failed}


def peak(name: str, way: str, batch: int, steps: int) -> float:
    """MB that a step raises the resident memory by, in a process of its own."""
    settings = json.dumps([name, way, batch, steps, torch.get_num_threads()])
    return memory.printed(__file__, "--peak-of", settings)


def rows(results: dict[str, Any]) -> Iterable[Sequence[str]]:
    """The page's table."""
    yield "network, [T, B, C, H, W]", "way", "ms a step (quartiles)", "times as fast", "peak MB"
    for name, found in results["networks"].items():
        for way, row in found["ways"].items():
            ms = f"{row['ms_median']:.0f} ({row['ms_q1']:.0f} to {row['ms_q3']:.0f})"
            peak_MB = "" if row["peak_MB"] is None else f"{row['peak_MB']:.0f}"
            yield f"{name}, {found['input']}", way, ms, f"{row['speedup_median']:.2f}", peak_MB
        for way, why in found["failed"].items():
            yield f"{name}, {found['input']}", way, f"does not run ({why})", "", ""


def generated(results: dict[str, Any]) -> str:
    """The table, and what it was measured on."""
    return f"{table(rows(results))}\n\nMeasured on {measured_on(results['environment'])}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=tuple(INPUTS), default=[n for n in INPUTS if n != "tiny"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        *case, threads = json.loads(arguments.peak_of)
        torch.set_num_threads(threads)
        print(memory.rise(training(*case)))
        return
    if arguments.table:
        results = json.loads(arguments.result.read_text())
        rewrite(PAGE, "from_spikingjelly.py", {"speed": generated(results)}, arguments.check)
        return
    torch.set_num_threads(arguments.threads)
    results = json.loads(arguments.result.read_text()) if arguments.result.exists() else {"networks": {}}
    results["environment"] = timing.environment(torch.device("cpu"))
    for name in arguments.networks:
        print(name, file=sys.stderr)
        results["networks"][name] = measure(name, arguments.rounds, arguments.batch, arguments.steps)
        write_text(arguments.result, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
