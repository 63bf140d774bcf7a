"""Speed and memory of SpikingJelly's networks, as they are and as saccade's, for docs/spikingjelly.md.

    python benchmarks/from_spikingjelly.py [--networks NAME ...] [--rounds N] [--steps T] [--threads N] [--result FILE]
    python benchmarks/from_spikingjelly.py --table [--check]    # write the page's tables from the JSON file

A training step is forward, cross-entropy of the mean over steps, backward; SpikingJelly's reset follows where it is
needed. Inference is evaluation without gradients, of ours the deployed network. The same weights, the same input;
`compiled` is SpikingJelly's network under `torch.compile`, `bfloat16` a step under torch.autocast, where the processor
multiplies bfloat16. Times are interleaved, memory is what the resident memory rises by during a call, in a process of
its own. Writes results/spikingjelly.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import saccade
from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import memory, timing
from saccade.ops.plumbing import bfloat

RESULT = ROOT / "benchmarks" / "results" / "spikingjelly.json"
PAGE = "docs/spikingjelly.md"
THEIRS = ("spikingjelly", "spikingjelly compiled")
MIXED = ("spikingjelly bfloat16", "saccade bfloat16") if bfloat.units() else ()


class Case(NamedTuple):
    """A network, what is done with it, samples, and (C, H, W) of one; `ours`: saccade's of that name, not converted."""

    network: str
    use: str
    batch: int
    shape: tuple[int, ...]
    ours: str | None = None

    @property
    def ways(self) -> tuple[str, ...]:
        """How it is run; deployed networks by their precision."""
        return (*THEIRS, "saccade", *MIXED) if self.use == "training" else (*THEIRS, "saccade float", "saccade exact")


CIFAR = (3, 32, 32)
CASES = {
    "CIFAR10Net": Case("CIFAR10Net", "training", 8, CIFAR),
    "DVSGestureNet": Case("DVSGestureNet", "training", 8, (2, 128, 128)),
    "sew_resnet18": Case("sew_resnet18", "training", 8, (3, 64, 64)),
    "spiking_resnet18": Case("spiking_resnet18", "training", 8, (3, 64, 64)),
    "spiking_vgg11_bn": Case("spiking_vgg11_bn", "training", 8, (3, 64, 64)),
    "spikformer training": Case("spikformer", "training", 8, CIFAR, "spikformer"),
    "spikformer inference": Case("spikformer", "inference", 8, CIFAR, "spikformer"),
    "sew_resnet18 training": Case("sew_resnet18", "training", 32, CIFAR, "sew_resnet18"),
    "sew_resnet18 inference": Case("sew_resnet18", "inference", 32, CIFAR, "sew_resnet18"),
    "tiny": Case("tiny", "training", 8, (2, 8, 8)),
}
#: in the page's second table
BACKBONES = tuple(name for name, case in CASES.items() if case.ours)


def build(name: str) -> nn.Module:
    """A network as SpikingJelly ships it, with ATan and a detached reset, in step mode m."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
    from spikingjelly.activation_based.model import (
        parametric_lif_net,
        sew_resnet,
        spikformer,
        spiking_resnet,
        spiking_vgg,
    )

    torch.manual_seed(0)
    options: Any = {"surrogate_function": surrogate.ATan(), "detach_reset": True}
    if name == "tiny":
        conv, lif = layer.Conv2d(2, 4, 3, bias=False), neuron.LIFNode(**options)
        net: nn.Module = nn.Sequential(conv, layer.BatchNorm2d(4), lif, layer.Flatten(), layer.Linear(144, 10))
    elif hasattr(parametric_lif_net, name):
        net = getattr(parametric_lif_net, name)(spiking_neuron=neuron.ParametricLIFNode, **options)
    elif name == "sew_resnet18":
        net = sew_resnet.sew_resnet18(cnf="ADD", spiking_neuron=neuron.IFNode, **options)
    elif name == "spikformer":
        net = spikformer.spikformer_cifar10()
    elif name == "spiking_resnet18":
        net = spiking_resnet.spiking_resnet18(spiking_neuron=neuron.LIFNode, **options)
    else:
        net = spiking_vgg.spiking_vgg11_bn(spiking_neuron=neuron.LIFNode, **options)
    functional.set_step_mode(net, "m")
    return net


def saccades(name: str, net: nn.Module, steps: int) -> nn.Module:
    """Saccade's network of that name, with the weights of SpikingJelly's."""
    options: dict[str, Any] = {"variant": "spikingjelly"} if name == "spikformer" else {}
    return saccade.load_official(saccade.create_model(name, steps=steps, **options), net.state_dict())


def call_of(name: str, way: str, steps: int) -> Callable[[], Tensor]:
    """One training step or inference of a case, run in one of its ways; returns the logits."""
    from spikingjelly.activation_based import functional

    case = CASES[name]
    net = build(case.network)
    if case.ours:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias, 0.5, 0.5)  # so that all layers fire
    training, theirs = case.use == "training", way.startswith("spikingjelly")
    x = torch.rand(steps, case.batch, *case.shape, generator=torch.Generator().manual_seed(1))
    if case.ours:  # an image; SpikingJelly's Spikformer shows it at every step itself
        x = x[0] if not theirs or case.network == "spikformer" else x[:1].expand(x.shape)
    labels = torch.arange(case.batch) % 10
    model: Any = net
    if not theirs:
        model = saccades(case.ours, net, steps) if case.ours else saccade.from_spikingjelly(net, steps)
    model.train(training)
    run = torch.compile(model) if way.endswith("compiled") else model
    if not theirs and not training:
        run = saccade.deploy(model, way.removeprefix("saccade "))

    def call() -> Tensor:
        with torch.set_grad_enabled(training):
            with torch.autocast("cpu", torch.bfloat16, enabled=way in MIXED):
                logits = run(x).float()
            if training:
                nn.functional.cross_entropy(logits.mean(0), labels).backward()
                model.zero_grad()
        if theirs:
            functional.reset_net(net)
        return logits.detach()

    return call


def measure(name: str, rounds: int, steps: int) -> dict[str, Any]:
    """Times and peak memory of all ways that work, and why the others do not."""
    case = CASES[name]
    cases, failed, logits = {}, {}, {}
    for way in case.ways:
        call = call_of(name, way, steps)
        try:
            logits[way] = call()
        except Exception as error:  # torch.compile fails in as many ways as it has parts
            if way != "spikingjelly compiled":
                raise
            failed[way] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            cases[way] = call
    rows: dict[str, Any] = dict(timing.summary(timing.interleave(cases, rounds), "spikingjelly"))
    for way, row in rows.items():
        row["peak_MB"] = peak(name, way, steps) if memory.CLEAR_REFS.exists() else None
        row["logits_apart"] = float((logits[way] - logits["spikingjelly"]).abs().max())
    return {"input": [steps, case.batch, *case.shape], "rounds": rounds, "ways": rows, "failed": failed}


def peak(name: str, way: str, steps: int) -> float:
    """MB that a call raises the resident memory by, in a process of its own."""
    settings = json.dumps([name, way, steps, torch.get_num_threads()])
    return memory.printed(__file__, "--peak-of", settings)


def rows(results: dict[str, Any], what: str) -> Iterable[Sequence[str]]:
    """A table of the page."""
    yield "network, [T, B, C, H, W]", "way", f"ms a {what} (quartiles)", "times as fast", "peak MB"
    for name, found in results.items():
        for way, row in found["ways"].items():
            ms = f"{row['ms_median']:.0f} ({row['ms_q1']:.0f} to {row['ms_q3']:.0f})"
            peak_MB = "" if row["peak_MB"] is None else f"{row['peak_MB']:.0f}"
            yield f"{name}, {found['input']}", way, ms, f"{row['speedup_median']:.2f}", peak_MB
        for way, why in found["failed"].items():
            yield f"{name}, {found['input']}", way, f"does not run ({why})", "", ""


def generated(results: dict[str, Any]) -> dict[str, str]:
    """The tables, and what each was measured on."""
    found: dict[str, dict[str, Any]] = {}
    for name, row in results["networks"].items():
        found.setdefault("backbones" if name in BACKBONES else "speed", {})[name] = row
    return {
        part: f"{table(rows(networks, 'step' if part == 'speed' else 'call'))}\n\n"
        f"Measured on {measured_on(results['environment'][part])}."
        for part, networks in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=tuple(CASES), default=[n for n in CASES if n != "tiny"])
    parser.add_argument("--rounds", type=int, default=15)
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
        print(memory.rise(call_of(*case)))
        return
    if arguments.table:
        results = json.loads(arguments.result.read_text())
        rewrite(PAGE, "from_spikingjelly.py", generated(results), arguments.check)
        return
    torch.set_num_threads(arguments.threads)
    results = json.loads(arguments.result.read_text()) if arguments.result.exists() else {}
    results = {"environment": {}, "networks": {}} | results
    environment = timing.environment(torch.device("cpu"))
    for name in arguments.networks:
        print(name, file=sys.stderr)
        results["networks"][name] = measure(name, arguments.rounds, arguments.steps)
        results["environment"]["backbones" if name in BACKBONES else "speed"] = environment
        write_text(arguments.result, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
