"""Write the tables of docs/speed.md from the JSON files in benchmarks/results/ and nothing else.

python benchmarks/speed_table.py            # rewrite the sections between the markers
python benchmarks/speed_table.py --check    # exit 1 if the page is not what this would write
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pages import ROOT, rewrite, table

RESULTS = ROOT / "benchmarks" / "results"

#: (kind, way) of the first table
SHOWN = (
    ("training", "saccade"),
    ("training", "saccade bfloat16"),
    ("inference", "deploy float"),
    ("inference", "deploy exact"),
    ("inference", "deploy int8"),
)
#: ways whose memory it shows
WEIGHED = ("saccade", "saccade bfloat16")
KERNEL = "saccade cpu"
COMPARED = ("ms", "times as fast", "share of the roofline", "peak MB")


def glance(speed: dict[str, Any], malloc: str) -> Iterable[Sequence[str]]:
    """Times as fast as the plain way, and the share of its peak memory in training."""
    heads = [f"peak memory, training, {way}" for way in WEIGHED]
    yield ("network", *(f"{kind}, {way}" for kind, way in SHOWN), *heads)
    for name, entry in speed[malloc]["networks"].items():
        measured = [entry[kind].get(way) for kind, way in SHOWN]
        ratios = ["" if row is None else f"{row['speedup_median']:.2f}" for row in measured]
        plain, *ours = (entry["training"].get(way, {}).get("peak_MB") for way in ("plain", *WEIGHED))
        yield (name, *ratios, *(f"{peak / plain:.0%}" if peak and plain else "" for peak in ours))
    if "lif" in speed[malloc]:
        lif = speed[malloc]["lif"]["tcja"]["forward+backward"][KERNEL]
        yield (f"the LIF neuron alone, {KERNEL}", f"{lif['speedup_median']:.2f}", *[""] * (len(SHOWN) + 1))


def networks(speed: dict[str, Any], malloc: str, part: str = "networks") -> Iterable[Sequence[str]]:
    """Every way of running every network."""
    yield ("network", "", "way", *COMPARED)
    for name, entry in speed[malloc][part].items():
        for kind in ("training", "inference"):
            for way, row in entry.get(kind, {}).items():
                share = row["GFLOPs"] / best(speed[malloc], "float32_GFLOPs")
                yield (name, kind, way, *timed(row), f"{100 * share:.0f} %", peak(row))


def operation(speed: dict[str, Any], malloc: str) -> Iterable[Sequence[str]]:
    """The LIF neuron alone."""
    yield ("neuron", "", "way", *COMPARED[:3])
    for name in ("tcja", "dta"):
        entry = speed[malloc]["lif"][name]
        for direction in ("forward", "forward+backward"):
            for way, row in entry[direction].items():
                share = row["GB/s"] / best(speed[malloc], "copy_GBs")
                yield (name, direction, way, *timed(row), f"{100 * share:.0f} %")
        for way, reason in entry["missing"].items():
            yield (name, "", way, reason, "", "")


def modules(speed: dict[str, Any], malloc: str) -> Iterable[Sequence[str]]:
    """A neuron with its gate and the pooling behind it."""
    yield ("module", "", "way", *COMPARED[:2])
    for name, entry in speed[malloc]["modules"].items():
        for direction in ("forward", "forward+backward"):
            for way, row in entry[direction].items():
                yield (name, direction, way, *timed(row))


def peers(speed: dict[str, Any], malloc: str) -> Iterable[Sequence[str]]:
    """One network in every library."""
    yield ("", "way", *COMPARED[:2], "peak MB")
    entry = speed[malloc]["peers"]
    for kind in ("training", "inference"):
        for way, row in entry[kind].items():
            yield (kind, way, *timed(row), peak(row))
    for way, reason in entry["missing"].items():
        yield ("", way, reason, "", "")


def roofline(speed: dict[str, Any], malloc: str) -> Iterable[Sequence[str]]:
    """What the machine can do, before and after the run."""
    yield ("machine", "before", "after")
    before, after = speed[malloc]["roofline"], speed[malloc]["roofline_after"]
    names = {
        "float32_GFLOPs": "float32 convolution",
        "bfloat16_GFLOPs": "bfloat16 convolution",
        "int8_GOPs": "int8 convolution",
        "copy_GBs": "copy of memory",
    }
    for key, name in names.items():
        if before.get(key) is None:
            continue
        unit = "GB/s" if "GB" in key else "G/s"
        yield (name, f"{before[key]} {unit}", f"{after[key]} {unit}")


def best(entry: dict[str, Any], rate: str) -> float:
    """The better of the two rates before and after a run: a bound must not suffer from a slow moment."""
    return max(entry["roofline"][rate], entry["roofline_after"][rate])


def scaling(measured: dict[str, Any]) -> Iterable[Sequence[str]]:
    """Fitted exponents."""
    yield ("cost", "steps", "batch", "width", "size")
    axes = [measured["scaling"][axis] for axis in ("steps", "batch", "width", "size")]
    for cost in [key for key in axes[0] if key != "values"]:
        yield (f"time, {cost}", *(str(axis[cost]["time_exponent"]) for axis in axes))
        if "memory_exponent" in axes[0][cost]:
            yield (f"memory, {cost}", *(str(axis[cost]["memory_exponent"]) for axis in axes))


def accuracy(measured: dict[str, Any]) -> Iterable[Sequence[str]]:
    """Trained networks under every precision."""
    yield ("data, network, gate", "test samples", "network", "float", "exact", "fast", "int8")
    for name, entry in measured.items():
        rows = entry["precisions"]
        ways = ("network", "float", "exact", "fast", "int8")
        scores = [f"{100 * rows[way]['accuracy']:.2f} %" + changed(rows[way]) for way in ways]
        yield (name, f"{entry['samples']:,}", *scores)


def changed(row: dict[str, Any]) -> str:
    return f" ({row['predictions_that_differ']})" if row["predictions_that_differ"] else ""


def timed(row: dict[str, Any]) -> tuple[str, str]:
    spread = f"{row['speedup_q1']:.2f} to {row['speedup_q3']:.2f}"
    return f"{row['ms_median']:.4g}", f"{row['speedup_median']:.2f} ({spread})"


def peak(row: dict[str, Any]) -> str:
    return "" if row.get("peak_MB") is None else f"{row['peak_MB']:,.0f}"


def machine(entry: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
    settings = f"{entry['threads']} threads; malloc: {entry['malloc']}; load {entry['load_average']:.1f}"
    commit = (entry["commit"] or "unknown")[:12]
    return f"{entry['hardware']}; {settings}; {entry['rounds']} rounds; commit {commit}; {versions}."


def sections() -> dict[str, Callable[[], str]]:
    """Marker -> what stands there."""

    def of_speed(build: Callable[..., Iterable[Sequence[str]]], part: str, *more: str) -> Callable[[], str]:
        def text() -> str:
            speed = read("speed")
            parts = []
            for malloc in ("default", "kept"):
                if part in speed.get(malloc, {}):
                    title = "glibc's default malloc" if malloc == "default" else "malloc keeps its heap, on all sides"
                    parts.append(f"*{title}*\n\n{table(build(speed, malloc, *more))}\n\n{machine(speed[malloc])}")
            return "\n\n".join(parts) or "Not measured yet: `python benchmarks/network.py`."

        return text

    def of_file(name: str, build: Callable[[dict[str, Any]], Iterable[Sequence[str]]]) -> Callable[[], str]:
        return lambda: table(build(read(name))) if read(name) else f"Not measured yet: `python benchmarks/{name}.py`."

    return {
        "glance": of_speed(glance, "networks"),
        "roofline": of_speed(roofline, "roofline"),
        "lif": of_speed(operation, "lif"),
        "modules": of_speed(modules, "modules"),
        "networks": of_speed(networks, "networks"),
        "binary": of_speed(networks, "binary", "binary"),
        "peers": of_speed(peers, "peers"),
        "scaling": of_file("scaling", scaling),
        "accuracy": of_file("deploy_accuracy", accuracy),
    }


def read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def main(arguments: list[str]) -> None:
    parts = {name: f"\n{build()}\n" for name, build in sections().items()}
    rewrite("docs/speed.md", "speed_table.py", parts, check="--check" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
