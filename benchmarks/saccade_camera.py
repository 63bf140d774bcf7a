"""The simulated event camera against the real one: N-MNIST's recordings and the same digits of MNIST, simulated.

    python benchmarks/saccade_camera.py --nmnist DATA --mnist MNIST.npz [--limit 1100]

DATA holds NMNIST/{Train,Test}/<digit>/<number>.bin; the number of a recording is that of its image in MNIST, from 1
(its label is compared). Writes results/saccade_camera.json and docs/figures/saccade_camera.svg.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from saccade.atomic import replacing, write_text
from saccade.data.event_camera import EventCamera, simulate_events
from saccade.data.events import event_set, read_events

RESULT = Path(__file__).parent / "results" / "saccade_camera.json"
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "saccade_camera.svg"
SIDE, MARGIN = 34, 3
BIN_US, BINS = 10_000, 33
BLOCK = 100
Columns = tuple[np.ndarray, ...]  # t, x, y, p of one recording


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nmnist", type=Path, required=True)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1100, help="recordings, spread over the set")
    options = parser.parse_args()
    found = event_set("nmnist").recordings(options.nmnist).recordings
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, min(options.limit, len(found))).astype(int)]
    real, images = [], []
    with np.load(options.mnist) as mnist:
        arrays = {part: (mnist[f"x_{part}"], mnist[f"y_{part}"]) for part in ("train", "test")}
    for recording in chosen:
        pixels, labels = arrays[recording.part]
        number = int(recording.path.stem) - 1
        assert labels[number] == recording.label, recording.name
        events = read_events(recording.path, (SIDE, SIDE))
        real.append((events.t_us, events.x, events.y, events.p))
        images.append(pixels[number])
    camera, start = EventCamera(), time.perf_counter()
    simulated = simulate(np.stack(images), camera)
    seconds = time.perf_counter() - start
    counts = [np.array([len(r[0]) for r in records]) for records in (real, simulated)]
    record = {
        "recordings": len(real),
        "camera": asdict(camera),
        "real": describe(real),
        "simulated": describe(simulated),
        "same_digit": {
            "correlation_of_counts": float(np.corrcoef(*counts)[0, 1]),
            "mean_correlation_of_pictures": float(np.mean([alike(a, b) for a, b in zip(real, simulated, strict=True)])),
        },
        "seconds_per_1000_images": 1000 * seconds / len(real),
    }
    write_text(RESULT, json.dumps(record, indent=1) + "\n")
    draw(record, picture(real), picture(simulated))
    print(json.dumps({k: record[k] for k in ("same_digit", "seconds_per_1000_images")}, indent=1))


def simulate(images: np.ndarray, camera: EventCamera) -> list[Columns]:
    """t, x, y, p of every image [N, 28, 28]."""
    scenes = F.pad(torch.from_numpy(images).float() / 255, (MARGIN,) * 4)
    records = []
    for first in range(0, len(scenes), BLOCK):
        few = scenes[first : first + BLOCK]
        n, *columns = simulate_events(few, camera, first)
        cuts = np.searchsorted(n, np.arange(len(few) + 1))
        records += [tuple(c[a:b] for c in columns) for a, b in itertools.pairwise(cuts)]
    return records


def describe(records: list[Columns]) -> dict[str, Any]:
    """Counts, balance, rates over time and spread in space, over all recordings."""
    counts = np.array([len(record[0]) for record in records])
    t, x, y, p = (np.concatenate([record[i] for record in records]) for i in range(4))
    edges = np.arange(BINS + 1) * BIN_US
    waits = np.concatenate([waiting(record) for record in records])
    return {
        "events": {"mean": counts.mean(), "sd": counts.std(), "5_50_95": np.percentile(counts, (5, 50, 95)).tolist()},
        "share_on": float(p.mean()),
        "share_on_sd": float(np.std([record[3].mean() for record in records])),
        "rate_khz": {
            name: (np.histogram(t[p == on], edges)[0] / len(records) / BIN_US * 1e3).tolist()
            for name, on in (("off", False), ("on", True))
        },
        "spread_pixels": {"x": float(x.std()), "y": float(y.std())},
        "wait_in_a_pixel_us": dict(
            zip(("1", "5", "25", "50", "75"), np.percentile(waits, (1, 5, 25, 50, 75)), strict=True)
        ),
        "share_in_the_outer_three_pixels": float(
            np.mean((x < MARGIN) | (y < MARGIN) | (x >= SIDE - MARGIN) | (y >= SIDE - MARGIN))
        ),
    }


def waiting(record: Columns) -> np.ndarray:
    """Times from an event to the next in the same pixel."""
    t, x, y, _ = record
    pixel = y.astype(int) * SIDE + x
    order = np.lexsort((t, pixel))
    return np.diff(t[order])[np.diff(pixel[order]) == 0]


def picture(records: list[Columns]) -> np.ndarray:
    """Mean events per pixel of a recording."""
    counts = np.zeros((SIDE, SIDE))
    for _, x, y, _ in records:
        np.add.at(counts, (y, x), 1)
    return counts / len(records)


def alike(a: Columns, b: Columns) -> float:
    """Correlation of two recordings' events per pixel."""
    return float(np.corrcoef(picture([a]).ravel(), picture([b]).ravel())[0, 1])


def draw(record: dict[str, Any], real: np.ndarray, simulated: np.ndarray) -> None:
    """Rates over time, and where the events are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    rates, *maps = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    ms = (np.arange(BINS) + 0.5) * BIN_US / 1e3
    for name, style in (("real", "-"), ("simulated", "--")):
        for polarity, colour in (("on", "#b2182b"), ("off", "#2166ac")):
            rates.plot(ms, record[name]["rate_khz"][polarity], style, color=colour, label=f"{name}, {polarity.upper()}")
    rates.set(xlabel="time (ms)", ylabel="events per ms and recording", ylim=(0, None))
    rates.legend(fontsize=7)
    top = max(real.max(), simulated.max())
    for axis, name, counts in zip(maps, ("real", "simulated"), (real, simulated), strict=True):
        axis.imshow(counts, vmin=0, vmax=top, cmap="viridis")
        axis.set(title=f"{name}: mean events", xticks=[], yticks=[])
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    with replacing(FIGURE) as temporary:
        figure.savefig(temporary, format="svg")


if __name__ == "__main__":
    main()
