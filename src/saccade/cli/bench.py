"""saccade bench: how fast this machine is at what saccade does, against the plain implementation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saccade.cli.arguments import check_count, parse


@dataclass(kw_only=True)
class BenchArguments:
    """What to measure, and how long."""

    parts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[PART ...]")] = ()
    """lif, modules, networks, binary (networks whose gate keeps spikes binary), peers (the same network in other
    libraries), scaling; default: all."""
    rounds: int = 7
    """Rounds of every comparison; each competitor runs once in each."""
    threads: int | None = None
    """Threads; default: torch's own choice."""
    malloc: Literal["default", "kept"] = "default"
    """kept: glibc keeps freed memory, for all competitors alike."""
    quick: bool = False
    """Tiny sizes, to see that everything runs; the figures mean little."""
    output: Path = Path("bench.json")
    """Where the figures are written."""


def main(words: Sequence[str]) -> int:
    """Measure, write, and print the ratios."""
    text = "Measure kernels, modules and networks on this machine: about ten minutes on two cores."
    arguments = parse(BenchArguments, words, "saccade bench", text=text)
    check_count("rounds", arguments.rounds, least=2)
    check_count("threads", arguments.threads)
    if not arguments.output.parent.is_dir():
        raise FileNotFoundError(
            f"The folder of {arguments.output} does not exist. Make it, or choose another --output."
        )

    import torch

    from saccade.bench.run import PARTS, run_benchmarks
    from saccade.bench.timing import keep_heap
    from saccade.files import write_object

    if arguments.malloc == "kept":
        keep_heap()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    result = run_benchmarks(
        arguments.parts or PARTS,
        arguments.rounds,
        arguments.quick,
        say=lambda line: print(f"measuring {line.strip()} ...", file=sys.stderr),
    )
    write_object(arguments.output, result)
    print(tables(result))
    print(f"\nEverything, with quartiles and memory: {arguments.output}")
    return 0


def tables(result: dict[str, Any]) -> str:
    """The medians as text."""
    from saccade.tables import format_table

    roofline = result["roofline"]
    rates = [
        ("float32 convolution", f"{roofline['float32_GFLOPs']:g} GFLOP/s"),
        ("int8 convolution", "none" if roofline["int8_GOPs"] is None else f"{roofline['int8_GOPs']:g} Gop/s"),
        ("copy of memory", f"{roofline['copy_GBs']:g} GB/s"),
    ]
    parts = [format_table(rates)]
    for title, kinds in comparisons(result):
        for kind, rows in kinds.items():
            body = [
                (way, f"{row['ms_median']:.4g}", f"{row['speedup_median']:.2f}", _peak(row))
                for way, row in rows.items()
            ]
            parts.append(f"{title}, {kind}\n" + format_table(body, ("", "ms", "times as fast", "peak MB")))
    return "\n\n".join(parts)


def comparisons(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(title, {direction: rows}) of everything that was compared."""
    found = [(f"LIF, {name}", result["lif"][name]) for name in ("tcja", "dta") if "lif" in result]
    for part, note in (("modules", ""), ("networks", ""), ("binary", ", gate on the current")):
        found += [(name + note, entry) for name, entry in result.get(part, {}).items()]
    if "peers" in result:
        found.append(("the same network in other libraries", result["peers"]))
    directions = ("forward", "forward+backward", "training", "inference")
    return [(title, {d: entry[d] for d in directions if d in entry}) for title, entry in found]


def _peak(row: dict[str, Any]) -> str:
    return "" if row.get("peak_MB") is None else f"{row['peak_MB']:.0f}"
