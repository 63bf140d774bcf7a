"""The throughput tables of docs/data-events.md, from benchmarks/results/events.json; written by tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "events.json"
READERS = ("saccade", "spikingjelly", "tonic", "saccade, to disk", "spikingjelly, to disk")


def events_tables() -> str:
    """File to frames in million events per second, cache to batch in clips per second, and what was measured where."""
    found = json.loads(RESULT.read_text())
    return "\n\n".join([_files(found["file_to_frames"]), _batches(found["cache_to_batch"]), _setting(found)])


def _files(sets: dict[str, Any]) -> str:
    lines = [
        "| file to frames, M events/s | saccade | SpikingJelly | tonic | ratio "
        "| saccade, to disk | SpikingJelly, to disk | ratio |",
        f"|{' --- |' * 8}",
    ]
    for name, found in sets.items():
        ours, theirs, tonic, our_disk, their_disk = (found["rows"][r]["events_per_second"] / 1e6 for r in READERS)
        low, high = found["rows"]["saccade"]["speedup_q1"], found["rows"]["saccade"]["speedup_q3"]
        lines.append(
            f"| {name}, T={found['steps']} | {ours:.1f} | {theirs:.1f} | {tonic:.1f} | {ours / theirs:.1f} "
            f"({low:.1f} to {high:.1f}) | {our_disk:.1f} | {their_disk:.2f} | {found['to_disk_speedup']:.1f} |"
        )
    return "\n".join(lines)


def _batches(found: dict[str, Any]) -> str:
    lines = [f"| cache to batch of {found['batch']}, clips {found['shape']} | clips/s | ratio |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {r['clips_per_second']:,.0f} | {r['speedup_median']:.1f} |" for name, r in found["rows"].items()
    ]
    return "\n".join(lines)


def _setting(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {found['versions'][name]}" for name in ("spikingjelly", "torch", "numpy", "numba"))
    return (
        f"Medians of {found['rounds']} interleaved rounds (ratios: quartiles), {found['hardware']}, one thread, "
        f"{versions}, commit {found['commit'][:10]}. The frames of all were equal before anything was timed, but for "
        "the events that tonic's `ToFrame` leaves over."
    )
