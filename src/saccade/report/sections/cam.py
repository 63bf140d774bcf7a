"""Where networks look: Grad-CAM and the deletion test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saccade.report import words
from saccade.report.blocks import Block, Fold, Missing, Picture, Table, Text
from saccade.report.content import Run
from saccade.report.figures import cam_rows, cam_steps
from saccade.report.sections.parts import by_run, listed, prefix, slug, with_probe


def cam_section(runs: Sequence[Run]) -> list[Block]:
    """Where the network looks."""
    found, blocks = with_probe(runs, "cam")
    drawn = [run for run in found if {"pictures", "frames", "maps"} <= run.arrays.get("cam", {}).keys()]
    if len(drawn) < len(found):
        lacking = [run for run in found if run not in drawn]
        blocks.append(Missing(f"The arrays of Grad-CAM are missing or damaged: {listed(lacking)}."))
    for group in _same_samples(drawn):
        blocks += _cam_pictures(group, runs)
    tested = [run for run in found if run.probes["cam"].get("deletion")]
    if tested:
        blocks.append(_deletion_table(tested))
        blocks.append(
            Text(
                "Deletion: what is left when the pixels that the averaged map ranks highest are set to zero at all "
                "steps. If they matter, accuracy falls further than with as many pixels drawn at random; if they "
                "matter for this very sample, further than with the pixels of another sample's map."
            )
        )
    elif found:
        blocks.append(Missing("No deletion test was run, so nothing says whether the highlighted pixels matter."))
    return blocks


def _same_samples(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that explain the same samples go into one figure."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        cam = run.probes["cam"]
        groups.setdefault(repr((cam.get("data"), cam["indices"], run.arrays["cam"]["frames"].shape)), []).append(run)
    return list(groups.values())


def _cam_pictures(group: Sequence[Run], runs: Sequence[Run]) -> list[Block]:
    first = group[0]
    cam, arrays = first.probes["cam"], first.arrays["cam"]
    names = cam.get("class_names") or []
    titles = [str(names[i]) if i < len(names) else str(i) for i in cam["labels"]]
    maps = {run.label: run.arrays["cam"]["maps"] for run in group}  # [T, N, h, w]
    names_of_layers = {run.probes["cam"]["layer"] for run in group}
    layers = ", ".join(f"{prefix(run, runs)}{run.probes['cam']['layer']}" for run in group)
    if len(names_of_layers) == 1:
        layers = names_of_layers.pop()
    T, N = arrays["maps"].shape[:2]
    blocks: list[Block] = [
        Picture(
            slug("cam", first.label),
            cam_rows(arrays["pictures"], {name: values.mean(0) for name, values in maps.items()}, titles),
            f"Grad-CAM of {N} samples, of the classes {', '.join(titles)}, by {listed(group)}.",
            f"Mean over {T} steps, from the least to the greatest value of each map: where, not how much. Class "
            f"explained: {cam['explains']}. Layer: {layers}.",
            wide=True,
        )
    ]
    flat = [
        f"{prefix(run, runs)}{titles[i]}"
        for run in group
        for i in range(N)
        if not run.arrays["cam"]["maps"][:, i].any()
    ]
    if flat:
        blocks.append(
            Missing(
                f"Maps that are 0 everywhere: nothing in the layer speaks for the class. Samples: {', '.join(flat)}."
            )
        )
    if T == 1:
        blocks.append(Missing("T = 1: there is one step, so no map per step."))
        return blocks
    steps = [
        Picture(
            slug("cam-steps", first.label, i),
            cam_steps(arrays["frames"][:, i], {name: values[:, i] for name, values in maps.items()}),
            f"Grad-CAM of one sample of class {titles[i]} at each of {T} steps, by {listed(group)}.",
            f"A sample of class {titles[i]}, step by step, on one scale for all steps of a network.",
            wide=True,
        )
        for i in range(N)
    ]
    return [*blocks, steps[0], *([Fold(f"{N - 1} more samples, step by step", steps[1:])] if N > 1 else [])]


def _deletion_table(runs: Sequence[Run]) -> Table:
    def entry(key: str) -> Any:
        return lambda run: words.percent(run.probes["cam"]["deletion"][key])

    def spread(run: Run) -> str:
        scores = run.probes["cam"]["deletion"]
        return f"{words.percent(scores['random'])} \u00b1 {words.plain(100 * scores['random_std'], 2)}"

    share = words.percent(runs[0].probes["cam"]["deletion"]["share"], 0)
    rows = [
        ("nothing deleted", entry("intact")),
        (f"top {share} of the map", entry("top")),
        (f"random {share}, mean ± standard deviation", spread),
        (f"top {share} of another sample's map", entry("other")),
        ("share of the input that the top pixels held", entry("top_removes")),
        ("share of the input that random pixels held", entry("random_removes")),
        ("samples", lambda run: words.count(run.probes["cam"]["deletion"]["samples"])),
    ]
    return by_run("Accuracy after deleting pixels", runs, rows)
