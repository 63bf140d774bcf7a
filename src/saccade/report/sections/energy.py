"""What it would cost: operations, energy, formula and sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saccade.report import words
from saccade.report.blocks import Block, Fold, Items, Missing, Picture, Table, Text
from saccade.report.content import Run
from saccade.report.figures import energy_bars
from saccade.report.figures.energy import KINDS
from saccade.report.sections.parts import by_run, listed, prefix, with_probe


def energy_section(runs: Sequence[Run]) -> list[Block]:
    """Energy per sample by what it is spent on, against the network with ReLU, and all that it was computed from."""
    found, blocks = with_probe(runs, "energy")
    if not found:
        return blocks
    blocks.append(_bars(found, runs))
    blocks.append(by_run("Energy and operations per sample", found, _rows(found)))
    for formula in dict.fromkeys(run.probes["energy"]["formula"] for run in found):
        blocks.append(Text(f"Formula: {formula}."))
    sources = dict.fromkeys(run.probes["energy"]["table"]["source"] for run in found)
    blocks.append(Text(f"Costs: {'; '.join(sources)}."))
    for note in dict.fromkeys(papers["note"] for run in found if (papers := run.probes["energy"].get("papers"))):
        blocks.append(Text(note))
    blocks.append(Fold("How operations are counted", [Items(found[0].probes["energy"]["notes"])]))
    for run in found:
        left_out = run.probes["energy"]["not_counted"]
        if left_out:
            names = ", ".join(f"{name} ({words.count(entries)} results)" for name, entries in left_out.items())
            blocks.append(Missing(f"{prefix(run, runs)}not counted, because no rule is known: {names}."))
        blocks.append(Fold(f"{prefix(run, runs)}operations, layer by layer", [_layers(run)]))
    return blocks


def _bars(found: Sequence[Run], runs: Sequence[Run]) -> Picture:
    parts: dict[str, dict[str, float]] = {}
    for run in found:
        energy = run.probes["energy"]
        parts[run.label if len(runs) > 1 else "this network"] = {k: energy["sums"][k]["energy_mj"] for k in KINDS}
    reference = found[0].probes["energy"]
    relu = "ReLU, T = 1" if len(found) == 1 else f"ReLU, T = 1 ({found[0].label})"
    parts[relu] = {kind: reference["relu"][kind]["energy_mj"] for kind in KINDS}
    unit, size = words.energy_unit(max(sum(bar.values()) for bar in parts.values()))
    scaled = {name: {kind: value / size for kind, value in bar.items()} for name, bar in parts.items()}
    totals = ", ".join(f"{name} {words.energy(sum(bar.values()))}" for name, bar in parts.items())
    return Picture(
        "energy",
        energy_bars(scaled, unit),
        f"Energy per sample of {listed(found)} and of the network with ReLU: {totals}.",
        "Energy of the arithmetic per sample; the gates are in it, memory is not.",
    )


def _rows(found: Sequence[Run]) -> list[tuple[str, Any]]:
    def energy(key: str) -> Any:
        return lambda run: words.energy(run.probes["energy"][key])

    def spent(kind: str) -> Any:
        return lambda run: words.energy(run.probes["energy"]["sums"][kind]["energy_mj"])

    def operations(key: str, which: str = "sums") -> Any:
        return lambda run: words.count(run.probes["energy"][which]["total"][key] / run.probes["energy"]["samples"])

    def papers(key: str) -> Any:
        return lambda run: words.energy(run.probes["energy"].get("papers", {}).get(key))

    def times(content: dict[str, Any]) -> str:
        energy, relu = content.get("energy_mj"), content.get("relu_energy_mj")
        return f"{words.plain(relu / energy, 3)} times" if energy and relu else words.NOTHING

    names = {"macs": "MACs", "acs": "ACs", "muls": "multiplications", "adds": "additions", "functions": "functions"}
    return [
        ("energy", energy("energy_mj")),
        *((f"of it: {text}", spent(kind)) for kind, text in KINDS.items()),
        ("energy if no zero were multiplied", energy("zero_skipping_energy_mj")),
        ("energy with ReLU at T = 1, no gates", energy("relu_energy_mj")),
        ("that is, of the energy", lambda run: times(run.probes["energy"])),
        ("energy by the papers' convention", papers("energy_mj")),
        ("with ReLU by the papers' convention", papers("relu_energy_mj")),
        ("that is, of it", lambda run: times(run.probes["energy"].get("papers", {}))),
        ("synaptic operations", operations("synops")),
        *((name, operations(key)) for key, name in names.items()),
        ("MACs with ReLU at T = 1", operations("macs", "relu")),
        ("samples measured", lambda run: words.count(run.probes["energy"]["samples"])),
        ("costs", lambda run: run.probes["energy"]["table"]["name"]),
    ]


def _layers(run: Run) -> Table:
    content = run.probes["energy"]
    samples = content["samples"]
    keys = ("connections", "synops", "macs", "acs", "muls", "adds", "functions")
    header = ["layer", "for", "reads", "not zero", *keys, "energy"]
    rows: list[list[str]] = []
    for layer in content["layers"]:
        numbers = [words.plain(layer[key] / samples, 5) if layer[key] else "" for key in keys]
        rate = "" if layer["input_rate"] is None else words.percent(layer["input_rate"], 1)
        rows.append([layer["layer"], layer["kind"], layer["reads"], rate, *numbers, words.energy(layer["energy_mj"])])
    return Table("Operations per sample, all steps", header, rows)
