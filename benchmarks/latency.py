"""From event to logit: how long a frame takes in a stream, for docs/streams.md.

    python benchmarks/latency.py [--frames N] [--threads N]
    python benchmarks/latency.py --table [--check]    # write the page's table

A frame's worth of random events (times, pixels and polarities uniform) is counted into a frame, and the frame is given
to the network: the time until its logits are there. `sequence, a frame` is the whole sequence in one call, divided by
T: what streaming costs beside it. Ways take turns. Writes results/latency.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import saccade
from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import timing
from saccade.data.events import Events, FrameSpec, to_frames

RESULT = ROOT / "benchmarks" / "results" / "latency.json"
PAGE = "docs/streams.md"
WAYS = ("stream", "stream, deployed float", "stream, deployed int8", "window of T frames", "sequence, a frame")


@dataclass(frozen=True)
class Case:
    model: str
    attention: str
    steps: int
    size: int
    width: float
    events: int  # in a frame

    def network(self, causal: bool) -> saccade.models.Classifier:
        torch.manual_seed(0)
        net: Any = saccade.create_model(
            self.model,
            attention=self.attention,
            attention_options={"causal": causal},
            steps=self.steps,
            in_channels=2,
            input_size=(self.size, self.size),
            width=self.width,
        )
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 2.0)  # so that neurons fire
        return net.eval()


CASES = {
    "msresnet18 x 0.125, DTA, N-MNIST's 34 x 34, T = 10": Case("msresnet18", "dta", 10, 34, 0.125, 420),
    "dvsgesture_net, TCJA, 128 x 128, T = 20": Case("dvsgesture_net", "tcja", 20, 128, 1.0, 10_000),
    "dvsgesture_net x 0.25, TCJA, 128 x 128, T = 20": Case("dvsgesture_net", "tcja", 20, 128, 0.25, 10_000),
}


def recording(case: Case, seed: int) -> Events:
    """One frame's events."""
    draw, n = np.random.default_rng(seed), case.events
    t_us = np.sort(draw.integers(0, 10_000, n))
    x, y = (draw.integers(0, case.size, n).astype(np.uint16) for _ in range(2))
    return Events(t_us, x, y, draw.random(n) < 0.5, size=(case.size, case.size))


def frame(events: Events) -> Tensor:
    """[1, 2, H, W]."""
    return torch.from_numpy(to_frames(events, FrameSpec(1)).frames.astype(np.float32))


def feeder(case: Case, way: str) -> Callable[[Events], object]:
    """What is given a frame's events and returns when its logits are there."""
    if way.startswith("sequence"):
        net = case.network(causal=True)

        @torch.inference_mode()
        def whole(events: Events) -> Tensor:
            return net(torch.stack([frame(events)] * case.steps))

        return whole
    net = case.network(causal=not way.startswith("window"))
    if way.startswith("stream, deployed"):
        net = saccade.deploy(net, way.rpartition(" ")[2])  # type: ignore[assignment]
    stream = saccade.stream(net, window=way.startswith("window"))

    def feed(events: Events) -> Tensor:
        if stream.steps == case.steps and not way.startswith("window"):
            stream.reset()
        return stream(frame(events))

    return feed


def measure(case: Case, frames: int) -> dict[str, Any]:
    """Milliseconds of every way, from the events of a frame to its logits."""
    feeders = {way: feeder(case, way) for way in WAYS}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for i in range(-case.steps, frames):
        events = recording(case, i + case.steps)
        for way, feed in feeders.items():
            start = time.perf_counter()
            feed(events)
            seconds = time.perf_counter() - start
            if i >= 0:
                times[way].append(1e3 * seconds / (case.steps if way.startswith("sequence") else 1))
    result = {}
    for way, ms in times.items():
        cuts = statistics.quantiles(ms, n=20, method="inclusive")
        result[way] = {"ms_median": round(statistics.median(ms), 3), "ms_95th": round(cuts[-1], 3)}
    return result


def rows(results: dict[str, Any]) -> Iterable[Sequence[str]]:
    yield "network", *WAYS
    for name, found in results["networks"].items():
        yield name, *(f"{short(found[way]['ms_median'])} ({short(found[way]['ms_95th'])})" for way in WAYS)


def short(ms: float) -> str:
    """Two digits, or the whole milliseconds."""
    return f"{ms:.0f}" if ms >= 10 else f"{ms:.2g}"


def generated(results: dict[str, Any]) -> str:
    return (
        f"{table(rows(results))}\n\nMilliseconds from the events of a frame to its logits, median and 95th percentile "
        f"of {results['frames']} frames, B = 1. {measured_on(results)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        results = json.loads(arguments.result.read_text())
        rewrite(PAGE, "latency.py", {"latency": generated(results)}, arguments.check)
        return
    torch.set_num_threads(arguments.threads)
    results = {**timing.environment(torch.device("cpu")), "frames": arguments.frames, "networks": {}}
    for name, case in CASES.items():
        results["networks"][name] = measure(case, arguments.frames)
        write_text(arguments.result, json.dumps(results, indent=1) + "\n")
    for row in rows(results):
        print(*row, sep=" | ")


if __name__ == "__main__":
    main()
