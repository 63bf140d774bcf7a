"""What was asked for and where it ran: summary, configuration, timing, environment."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from saccade.report import words
from saccade.report.blocks import Block, Fold, Items, Missing, Table, Text
from saccade.report.content import Run
from saccade.report.sections.parts import by_run, listed, prefix
from saccade.runs import CONFIG, RESULT
from saccade.tables import paper_text


def summary_section(runs: Sequence[Run]) -> list[Block]:
    """The numbers that people ask for first, and everything that is wrong with the folders."""
    rows = [
        ("data", lambda run: run.score("data") or run.setting("data") or words.NOTHING),
        ("network", lambda run: run.setting("model") or words.NOTHING),
        ("attention", lambda run: run.setting("attention") or words.NOTHING),
        ("time steps", lambda run: words.count(run.setting("steps"))),
        ("test accuracy", lambda run: words.percent(run.score("test_accuracy"))),
        ("test samples", lambda run: words.count(run.score("test_samples"))),
        ("largest test accuracy of any epoch (optimistic)", lambda run: words.percent(run.score("max_test_accuracy"))),
        ("the paper's score", lambda run: paper_text(run.score("paper")) if run.score("paper") else words.NOTHING),
        ("parameters", lambda run: words.count(run.score("parameters"))),
        ("spikes per neuron and step", lambda run: words.plain(run.score("firing_rate"), 3)),
        ("energy per sample", lambda run: words.energy(run.probes.get("energy", {}).get("energy_mj"))),
        ("training time", lambda run: words.seconds(run.score("seconds"))),
    ]
    blocks: list[Block] = [by_run("At a glance", runs, rows)]
    unfinished = [run for run in runs if run.result is None]
    if unfinished:
        who = "This run" if len(runs) == 1 else listed(unfinished)
        blocks.append(Missing(f"{who} has no {RESULT}: it is not finished, so there is no test score."))
    for run in runs:
        if run.score("max_batches"):
            scored = run.score("cut_short")
            of = f"scored on {scored}" if scored else "the scores are of a quick try"
            most = run.score("max_batches")
            blocks.append(
                Missing(f"{prefix(run, runs)}cut short by max_batches={most}: {most} batches an epoch at most; {of}.")
            )
    for run in runs:
        broken = [
            name
            for name, number in (run.result or {}).items()
            if isinstance(number, float) and not math.isfinite(number)
        ]
        if broken:
            blocks.append(Missing(f"{prefix(run, runs)}not finite in {RESULT}: {', '.join(broken)}."))
    blocks += [Text(f"{prefix(run, runs)}{run.score('extended')}.") for run in runs if run.score("extended")]
    notes = {run.score("data_note") for run in runs} - {None, ""}
    blocks += [Text(f"Data: {note}.") for note in sorted(notes)]
    damage = [f"{prefix(run, runs)}{text}" for run in runs for text in run.damaged]
    if damage:
        blocks.append(Missing("Files that could not be used:"))
        blocks.append(Items(damage))
    return blocks


def configuration_section(runs: Sequence[Run]) -> list[Block]:
    """Every setting; with several runs, those that differ first."""
    configured = [run for run in runs if run.config is not None]
    blocks: list[Block] = []
    lacking = [run for run in runs if run.config is None]
    if lacking:
        who = "This run" if len(runs) == 1 else listed(lacking)
        blocks.append(Missing(f"{who} has no usable {CONFIG}."))
    if not configured:
        return blocks
    names = list(dict.fromkeys(name for run in configured for name in run.config or {}))
    differing = [name for name in names if len({repr(run.setting(name)) for run in configured}) > 1]
    if len(configured) > 1:
        blocks.append(_settings("Settings that differ", configured, differing))
        same = _settings("Settings that are the same", configured[:1], [n for n in names if n not in differing])
        blocks.append(Fold("Settings that are the same", [same]))
    else:
        blocks.append(Fold("All settings", [_settings("All settings", configured, names)]))
    return blocks


def _settings(caption: str, runs: Sequence[Run], names: Sequence[str]) -> Table:
    header = ["setting", *(run.label for run in runs)] if len(runs) > 1 else ["setting", "value"]
    return Table(caption, header, [[name, *(words.value(run.setting(name)) for run in runs)] for name in names])


def timing_section(runs: Sequence[Run]) -> list[Block]:
    """How long training and answering took."""
    rows = [
        ("training, all epochs", lambda run: words.seconds(run.score("seconds"))),
        ("epochs", lambda run: words.count(run.score("epochs"))),
        ("one training step", lambda run: words.seconds(run.score("seconds_per_step"))),
        ("batch size", lambda run: words.count(run.score("batch_size"))),
        ("median epoch", lambda run: words.seconds(_median((run.metrics or {}).get("seconds", [])))),
        ("answers per second, forward pass alone", _answers_per_second),
        ("answered on", lambda run: run.probes.get("predictions", {}).get("hardware") or words.NOTHING),
        ("precision", lambda run: run.score("precision") or words.NOTHING),
        ("neuron kernels", lambda run: words.value(run.score("lif_backends")) if run.result else words.NOTHING),
    ]
    table = by_run("Times", runs, rows)
    blocks: list[Block] = [table] if table.rows else [Missing("No times were recorded.")]
    blocks.append(Text("Times are of the machine named under Environment, with whatever else it was doing."))
    return blocks


def _answers_per_second(run: Run) -> str:
    found = run.probes.get("predictions", {})
    samples, time = found.get("samples"), found.get("seconds")
    return words.plain(samples / time, 3) if samples and time else words.NOTHING


def environment_section(runs: Sequence[Run]) -> list[Block]:
    """Machine, commit and versions."""
    origins = {run.label: run.result or run.card or {} for run in runs}
    libraries = list(dict.fromkeys(name for origin in origins.values() for name in origin.get("versions", {})))

    def origin(key: str) -> Any:
        return lambda run: str(origins[run.label].get(key) or words.NOTHING)

    def version(name: str) -> Any:
        return lambda run: str(origins[run.label].get("versions", {}).get(name, words.NOTHING))

    def commit(run: Run) -> str:
        whole = origins[run.label].get("commit") or ""
        return re.sub(r"\b([0-9a-f]{12})[0-9a-f]+", r"\1", str(whole)) or words.NOTHING

    rows = [("hardware", origin("hardware")), ("commit", commit), ("seed", origin("seed"))]
    table = by_run("Where it ran", runs, [*rows, *((name, version(name)) for name in libraries)])
    if not table.rows:
        return [Missing(f"Neither {RESULT} nor a card says where this ran.")]
    return [table]


def _median(numbers: Sequence[float]) -> float:
    finite = sorted(number for number in numbers if math.isfinite(number))
    return finite[len(finite) // 2] if finite else math.nan
