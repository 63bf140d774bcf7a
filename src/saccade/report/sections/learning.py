"""How it learned and what it answers: curves, confusion, accuracy against steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from saccade.report import words
from saccade.report.blocks import Block, Fold, Items, Missing, Picture, Table, Text
from saccade.report.content import Run
from saccade.report.figures import confusion_figure, learning_curves, steps_curve
from saccade.report.sections.parts import by_run, listed, prefix, slug, with_probe
from saccade.runs import METRICS


def curves_section(runs: Sequence[Run]) -> list[Block]:
    """Loss and accuracy per epoch."""
    measured = {run.label: run.metrics for run in runs if run.metrics is not None}
    blocks: list[Block] = []
    lacking = [run for run in runs if run.metrics is None]
    if lacking:
        who = "This run" if len(runs) == 1 else listed(lacking)
        blocks.append(Missing(f"{who} has no usable {METRICS}: no epoch has ended, or the file is damaged."))
    if measured:
        named = measured if len(runs) > 1 else {"": next(iter(measured.values()))}
        epochs = max(len(columns["epoch"]) for columns in measured.values())
        last = ", ".join(f"{prefix(run, runs)}{_last(run)}" for run in runs if run.metrics is not None)
        blocks.append(
            Picture(
                "curves",
                learning_curves(named),
                f"Loss and accuracy over {epochs} epochs. After the last epoch: {last}.",
                "Loss and accuracy per epoch; dashed: on the training part, while it was learned (augmented, and the "
                "weights change along the way).",
            )
        )
    if any(len(columns["epoch"]) == 1 for columns in measured.values()):
        blocks.append(Missing("There is one epoch, so the curve is a point."))
    remarks = [f"{prefix(run, runs)}{text}" for run in runs for text in _not_finite(run)]
    if remarks:
        blocks += [Missing("Some numbers are not finite, and are missing from the curves:"), Items(remarks)]
    return blocks


def _last(run: Run) -> str:
    columns = run.metrics or {}
    shown = [c for c in columns if c.endswith("_accuracy")]
    return ", ".join(f"{c.replace('_', ' ')} {words.percent(columns[c][-1])}" for c in shown)


def _not_finite(run: Run) -> list[str]:
    found = []
    for name, values in (run.metrics or {}).items():
        epochs = [i + 1 for i, number in enumerate(values) if not math.isfinite(number)]
        if epochs and not (name.endswith("_top5") and len(epochs) == len(values)):  # no top 5 with few classes
            shown = ", ".join(map(str, epochs[:8])) + (f" and {len(epochs) - 8} more" if len(epochs) > 8 else "")
            found.append(f"{name}: epoch {shown}")
    return found


def confusion_section(runs: Sequence[Run]) -> list[Block]:
    """Which class is taken for which."""
    found, blocks = with_probe(runs, "predictions")
    for run in found:
        matrix = np.array(run.probes["predictions"]["confusion"])
        if len(matrix) < 2:
            blocks.append(Missing(f"{prefix(run, runs)}There is one class: nothing can be taken for another."))
            continue
        names = _class_names(run, len(matrix))
        blocks.append(
            Picture(
                slug("confusion", run.label),
                confusion_figure(matrix, names),
                f"Confusion matrix of {int(matrix.sum())} samples and {len(matrix)} classes. "
                + _confused(matrix, names),
                f"{prefix(run, runs)}{int(matrix.sum())} test samples, counted; shade: share of the true class. "
                + _confused(matrix, names),
            )
        )
    scored = [run for run in runs if run.score("per_class_accuracy")]
    if scored:
        classes = list(dict.fromkeys(name for run in scored for name in run.score("per_class_accuracy")))
        rows = [
            [name, *(words.percent(run.score("per_class_accuracy").get(name)) for run in scored)] for name in classes
        ]
        header = ["class", *(run.label for run in scored)] if len(runs) > 1 else ["class", "accuracy"]
        blocks.append(Fold("Accuracy of every class", [Table("Test accuracy by class", header, rows)]))
    return blocks


def _class_names(run: Run, classes: int) -> list[str]:
    names = run.probes["predictions"].get("class_names") or []
    return [str(name) for name in names] if len(names) == classes else [str(i) for i in range(classes)]


def _confused(matrix: np.ndarray, names: Sequence[str]) -> str:
    wrong = matrix - np.diag(np.diag(matrix))
    if not wrong.any():
        return "No sample is taken for another class."
    row, column = divmod(int(wrong.argmax()), len(wrong))
    times = int(wrong[row, column])
    return f"Most often, {names[row]} is taken for {names[column]}: {'once' if times == 1 else f'{times} times'}."


def steps_section(runs: Sequence[Run]) -> list[Block]:
    """How early the answer is there."""
    found, blocks = with_probe(runs, "predictions")
    curves = {run.label: run.probes["predictions"]["accuracy_by_steps"] for run in found}
    still = [run for run in found if len(curves[run.label]) < 2]
    if still:
        blocks.append(
            Missing(f"{listed(still) if len(runs) > 1 else 'This run'}: T = 1, so there is one step to read.")
        )
    curves = {name: accuracy for name, accuracy in curves.items() if len(accuracy) > 1}
    if curves:
        sentences = [
            f"{name}: {words.percent(a[0])} after one step, {words.percent(a[-1])} after {len(a)}"
            for name, a in curves.items()
        ]
        blocks.append(
            Picture(
                "steps",
                steps_curve(curves),
                "Test accuracy against the number of steps read. " + "; ".join(sentences) + ".",
                "Test accuracy when the answers of the first steps are averaged. The input is the same: a gate that "
                "looks at all of time has seen all of it.",
            )
        )
        longest = max(map(len, curves.values()))
        rows = [
            (
                f"{t + 1}",
                lambda run, t=t: words.percent(curves[run.label][t]) if t < len(curves[run.label]) else words.NOTHING,
            )
            for t in range(longest)
        ]
        shown = [run for run in found if run.label in curves]
        blocks.append(Fold("Numbers", [by_run("Test accuracy by steps read", shown, rows, "steps")]))
    if not blocks:
        blocks.append(Text("Nothing to show."))
    return blocks
