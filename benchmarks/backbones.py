"""Training step and inference of `spikformer` and `sew_resnet18` against SpikingJelly's own, at CIFAR's size.

    python benchmarks/backbones.py [--networks NAME ...] [--uses training inference] [--rounds N] [--batch N]
                                   [--steps T] [--threads N] [--compiled] [--result FILE]

Same weights (`saccade.load_official`), same input. A training step is forward, cross-entropy of the mean over steps and
backward; inference is SpikingJelly's network without gradients, and `saccade.deploy(model, "exact")`. SpikingJelly's
states are reset after every call. Logits are compared before anything is timed. Times are interleaved, memory is what
the resident memory rises by in a process of its own. Writes results/backbones.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import saccade
from pages import ROOT
from saccade.atomic import write_text
from saccade.bench import memory, timing

RESULT = ROOT / "benchmarks" / "results" / "backbones.json"
NETWORKS = ("spikformer", "sew_resnet18")
USES = ("training", "inference")
SIDE = 32


def theirs(name: str, steps: int) -> nn.Module:
    """SpikingJelly's network in step mode m; norms are moved so that all layers fire."""
    from spikingjelly.activation_based import functional, neuron, surrogate
    from spikingjelly.activation_based.model import sew_resnet, spikformer

    torch.manual_seed(0)
    if name == "spikformer":
        net: nn.Module = spikformer.spikformer_cifar10(T=steps)
    else:
        options: Any = {"surrogate_function": surrogate.ATan(), "detach_reset": True}
        net = sew_resnet.sew_resnet18(cnf="ADD", spiking_neuron=neuron.IFNode, num_classes=10, **options)
    functional.set_step_mode(net, "m")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.bias, 0.5, 0.5)
    return net


def ours(name: str, net: nn.Module, steps: int) -> nn.Module:
    """Saccade's network with the weights of SpikingJelly's."""
    options = {"variant": "spikingjelly"} if name == "spikformer" else {"num_classes": 10}
    return saccade.load_official(saccade.create_model(name, steps=steps, **options), net.state_dict())


def case(name: str, use: str, way: str, batch: int, steps: int) -> Callable[[], Tensor]:
    """One call of a network, run in one of the ways; returns its logits [T, B, K]."""
    from spikingjelly.activation_based import functional

    net = theirs(name, steps)
    images = torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(batch) % 10
    model = ours(name, net, steps) if way == "saccade" else net
    x = images.expand(steps, *images.shape) if way != "saccade" and name != "spikformer" else images
    model.train(use == "training")
    run: Any = model
    if way == "saccade" and use == "inference":
        run = saccade.deploy(model, precision="exact")
    elif way.endswith("compiled"):
        run = torch.compile(model)

    def call() -> Tensor:
        with torch.set_grad_enabled(use == "training"):
            logits = run(x)
            if use == "training":
                nn.functional.cross_entropy(logits.mean(0), labels).backward()
                model.zero_grad()
        if way != "saccade":
            functional.reset_net(model)
        return logits.detach()

    return call


def measure(name: str, use: str, ways: list[str], rounds: int, batch: int, steps: int) -> dict[str, Any]:
    """Times and peak memory of all ways, and how far the logits of one call are apart."""
    cases = {way: case(name, use, way, batch, steps) for way in ways}
    logits = {way: call() for way, call in cases.items()}
    apart = {way: float((found - logits["spikingjelly"]).abs().max()) for way, found in logits.items()}
    rows: dict[str, Any] = dict(timing.summary(timing.interleave(cases, rounds), "spikingjelly"))
    for way, row in rows.items():
        row["peak_MB"] = peak(name, use, way, batch, steps) if memory.CLEAR_REFS.exists() else None
        row["logits_apart"] = apart[way]
    return {"input": [steps, batch, 3, SIDE, SIDE], "rounds": rounds, "ways": rows}


def peak(*settings: str | int) -> float:
    """MB that a call raises the resident memory by, in a process of its own."""
    command = [sys.executable, __file__, "--peak-of", json.dumps([*settings, torch.get_num_threads()])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Measuring memory failed:\n{done.stderr}")
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--uses", nargs="+", choices=USES, default=list(USES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compiled", action="store_true", help="SpikingJelly under torch.compile too")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        *settings, threads = json.loads(arguments.peak_of)
        torch.set_num_threads(threads)
        print(memory.rise(case(*settings)))
        return
    torch.set_num_threads(arguments.threads)
    ways = ["spikingjelly", *(["spikingjelly compiled"] if arguments.compiled else []), "saccade"]
    results: dict[str, Any] = {"environment": timing.environment(torch.device("cpu")), "networks": {}}
    for name in arguments.networks:
        for use in arguments.uses:
            print(name, use, file=sys.stderr)
            found = measure(name, use, ways, arguments.rounds, arguments.batch, arguments.steps)
            results["networks"].setdefault(name, {})[use] = found
            write_text(arguments.result, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
