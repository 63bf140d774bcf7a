"""The same work on a machine as it may be: python machine_driver.py WORK RESULT.npz [HOW]

WORK: neuron, the spikes and gradients of LIFs; network, a small network trained a step, and deployed. HOW: threads,
fork, spawn (the work is done there, after it has been done here), or what the machine does not have: numba, /proc.
RESULT: the numbers, which every machine is to find.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

Numbers = dict[str, np.ndarray]


def neuron() -> Callable[[], Numbers]:
    """Currents that lie apart in memory, enough of them for two threads."""
    import saccade

    torch.manual_seed(0)
    x = torch.randn(3, 1301, 151).transpose(1, 2)

    def work() -> Numbers:
        leaf = x.detach().requires_grad_()
        spikes = saccade.LIF()(leaf)
        (spikes * torch.linspace(-1, 1, spikes.numel()).view_as(spikes)).sum().backward()
        assert leaf.grad is not None
        return {"spikes": spikes.detach().numpy(), "gradient": leaf.grad.numpy()}

    return work


def network() -> Callable[[], Numbers]:
    """Odd numbers of channels and pixels, in float64."""
    import saccade

    torch.manual_seed(0)
    options = {"width": 0.07, "steps": 3, "in_channels": 2, "num_classes": 4, "attention": "dta", "backend": BACKEND}
    model = saccade.create_model("msresnet18", **options).double()
    x = torch.rand(17, 17, 2, 3, 3, dtype=torch.float64).permute(3, 4, 2, 0, 1)

    def work() -> Numbers:
        logits = model.train()(x)
        logits.square().sum().backward()
        found = {f"gradient of {name}": p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
        with torch.no_grad():
            found["deployed"] = saccade.deploy(model.eval())(x).numpy()
        return {"logits": logits.detach().numpy(), **found}

    return work


WORK = {"neuron": neuron, "network": network}
BACKEND = "cpu"


def side_by_side(prepare: Callable[[], Callable[[], Numbers]]) -> list[Numbers]:
    """Four Python threads, each with what it works on."""
    prepared = [prepare() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        return [future.result() for future in [pool.submit(work) for work in prepared]]


def forked(prepare: Callable[[], Callable[[], Numbers]], result: str) -> list[Numbers]:
    """A child of a process whose kernels have run, with one thread: torch's own would wait for ever."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        np.savez(result, **prepare()())  # type: ignore[arg-type]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with np.load(result) as found:
        return [dict(found)]


def spawned(name: str) -> list[Numbers]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(alone, [name])


def alone(name: str) -> Numbers:
    return WORK[name]()()


def lose(what: str) -> None:
    """Go on without numba or /proc."""
    global BACKEND
    if what == "numba":
        sys.modules["numba"] = None  # type: ignore[assignment]
        BACKEND = "auto"
        return
    read = pathlib.Path.read_text

    def read_text(path: pathlib.Path, *arguments: object, **options: object) -> str:
        if path.is_relative_to("/proc"):
            raise FileNotFoundError(path)
        return read(path, *arguments, **options)  # type: ignore[arg-type]

    pathlib.Path.read_text = read_text  # type: ignore[method-assign]


def main(name: str, result: str, how: str = "") -> None:
    if how in ("numba", "/proc"):
        lose(how)
    prepare = WORK[name]
    expected = prepare()()
    ways: dict[str, Callable[[], list[Numbers]]] = {
        "threads": lambda: side_by_side(prepare),
        "fork": lambda: forked(prepare, result),
        "spawn": lambda: spawned(name),
    }
    for found in ways.get(how, list)():
        for key, numbers in expected.items():
            apart = np.abs(found[key] - numbers).max()  # with another number of threads sums are rounded otherwise
            assert apart <= 1e-9 * np.abs(numbers).max(), f"{key} differs by {apart}"
    np.savez(result, **expected)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
