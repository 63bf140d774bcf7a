"""saccade cam: where networks look, step by step, and whether it matters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli.arguments import check_count
from saccade.cli.inside import InsideArguments, OpenRun, check_classifies, open_run, parse_inside
from saccade.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np

#: columns of the figure if no samples are named
MOST_CLASSES = 10


@dataclass(kw_only=True)
class CamArguments(InsideArguments):
    """Which runs, what is explained, and how it is tested."""

    layer: str | None = None
    """Layer whose activity is mapped, as named in the network; default: the last neurons with height and width."""
    explain: str = "predicted"
    """Class to explain: predicted, true, or the number of one."""
    indices: tuple[int, ...] = ()
    """Test samples to draw, by position; default: the first of each of the first ten classes."""
    deletion_samples: int = 512
    """Test samples for the deletion test, evenly spaced; 0: no test."""
    deletion_share: float = 0.2
    """Share of the pixels that the test deletes."""
    figure: Path | None = None
    """File for the figure of several runs; default: cam.png in the folder that holds them all."""


def main(words: Sequence[str]) -> int:
    """Draw and test, run by run; with several, draw the rows of all in one figure."""
    text = "Grad-CAM over time. Several runs on the same data give the rows of one figure."
    arguments = parse_inside(CamArguments, words, "cam", text)
    check_count("deletion_samples", arguments.deletion_samples, least=0)
    if arguments.explain not in ("predicted", "true") and not arguments.explain.isdigit():
        raise unknown_name("class to explain", arguments.explain, ("predicted", "true", "NUMBER"))

    from saccade.report.content import read_runs
    from saccade.tables import fold, format_table

    rows = [probe_cam(open_run(path, arguments), arguments) for path in arguments.runs]
    header = ("run", "layer", "accuracy", "top deleted", "random deleted", "other's top deleted")
    print(format_table([(str(path), *row) for path, row in zip(arguments.runs, rows, strict=True)], header))
    if len(rows) > 1:
        print(f"\nFigure of all runs: {_draw_together(read_runs(arguments.runs), arguments)}")
    print(fold("\nMaps and scores are in RUN/probe/cam.npz and cam.json, pictures in RUN/probe/cam*.png."))
    return 0


def probe_cam(run: OpenRun, arguments: CamArguments | None = None) -> tuple[str, ...]:
    """Write one run's maps, scores and pictures; returns a row of the table."""
    check_classifies(run)
    arguments = arguments or CamArguments()

    import torch

    from saccade.probe import deletion_test, grad_cam
    from saccade.report.figures import cam_rows, cam_steps

    indices = list(arguments.indices) or first_of_each_class(run)
    samples, labels = zip(*(run.sample(i) for i in indices), strict=True)
    x = torch.stack(samples, 1 if run.info.temporal else 0)
    explained = {"predicted": None, "true": torch.tensor(labels, device=run.device)}
    classes = explained[arguments.explain] if arguments.explain in explained else int(arguments.explain)
    cam = grad_cam(run.model, x, arguments.layer, classes)
    scores = None
    if arguments.deletion_samples:
        batches = run.batches(arguments.deletion_samples)
        scores = deletion_test(run.model, batches, cam.layer, arguments.deletion_share, seed=run.experiment.seed)
    arrays = _arrays(run, x, cam)
    content = {
        "layer": cam.layer,
        "explains": arguments.explain if arguments.explain in explained else f"class {arguments.explain}",
        "indices": indices,
        "labels": list(labels),
        "predicted": cam.logits.argmax(1).tolist(),
        "explained": cam.classes.tolist(),
        "deletion": None if scores is None else scores.as_json(),
    }
    run.store("cam", content, arrays)
    titles, label = [run.info.class_names[i] for i in labels], run.experiment.attention
    run.draw("cam", cam_rows(arrays["pictures"], {label: arrays["maps"].mean(0)}, titles))
    run.draw("cam_steps", cam_steps(arrays["frames"][:, 0], {label: arrays["maps"][:, 0]}))
    if scores is None:
        return (cam.layer, *["not tested"] * 4)
    return (cam.layer, *(f"{share:.2%}" for share in (scores.intact, scores.top, scores.random, scores.other)))


def first_of_each_class(run: OpenRun) -> list[int]:
    """Positions of the first test sample of each of the first ten classes that are there."""
    found: dict[int, int] = {}
    position = 0
    for _, labels in run.batches():
        for label in labels.tolist():
            if label < MOST_CLASSES:
                found.setdefault(label, position)
            position += 1
        if len(found) == min(MOST_CLASSES, run.info.num_classes):
            break
    return [found[label] for label in sorted(found)]


def _arrays(run: OpenRun, x: Any, cam: Any) -> dict[str, np.ndarray]:
    """Maps [T, N, h, w] from 0 to 1; frames [T, N, H, W, 3] and pictures [N, H, W, 3] of the inputs."""
    import numpy as np

    from saccade.report.pictures import as_pictures

    sequence = x.cpu().numpy() if run.info.temporal else x.cpu().numpy()[None].repeat(run.experiment.steps, 0)
    return {
        "maps": cam.scaled().cpu().numpy().astype(np.float32),
        "frames": as_pictures(sequence),
        "pictures": as_pictures(sequence.mean(0)),
    }


def _draw_together(runs: Sequence[Any], arguments: CamArguments) -> Path:
    from saccade.report.figures import cam_rows, write_png

    first = runs[0].probes["cam"]
    for run in runs[1:]:
        cam = run.probes["cam"]
        if (cam["data"], cam["indices"]) != (first["data"], first["indices"]):
            raise ValueError(
                f"{run.path} shows other samples than {runs[0].path}: their rows do not go into one figure."
            )
    maps = {run.label: run.arrays["cam"]["maps"].mean(0) for run in runs}
    titles = [first["class_names"][i] for i in first["labels"]]
    common = Path(os.path.commonpath([run.path.resolve() for run in runs]))
    return write_png(arguments.figure or common / "cam.png", cam_rows(runs[0].arrays["cam"]["pictures"], maps, titles))
