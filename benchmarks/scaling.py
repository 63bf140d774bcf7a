"""How time and memory grow with T, batch, width and resolution: results/scaling.json and docs/scaling.png.

python benchmarks/scaling.py             # measure, then draw
python benchmarks/scaling.py --draw      # draw what has been measured
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from saccade.atomic import replacing, write_text
from saccade.bench.run import QUICK_ROUNDS, run_benchmarks
from saccade.bench.scaling import AXES, WAYS

ROOT = Path(__file__).resolve().parent.parent
RESULT, PICTURE = ROOT / "benchmarks" / "results" / "scaling.json", ROOT / "docs" / "scaling.png"
TITLES = {"steps": "time steps T", "batch": "batch B", "width": "width factor", "size": "height and width"}
COLOURS = dict(zip(("plain", "saccade", "deploy float"), ("#b4502e", "#1f6f8b", "#5a8f3d"), strict=True))


def draw(scaling: dict[str, Any]) -> None:
    """Time above, peak memory of a training step below; one column per axis, both scales logarithmic."""
    figure, panels = plt.subplots(2, len(AXES), figsize=(14, 6), layout="constrained", sharey="row")
    for column, axis in enumerate(AXES):
        values = scaling[axis]["values"]
        for kind, way in WAYS:
            row = scaling[axis][f"{kind} {way}"]
            style = {"color": COLOURS[way], "linestyle": "-" if kind == "training" else "--", "marker": "o", "ms": 4}
            panels[0, column].plot(values, row["ms"], label=f"{kind}, {way}: ^{row['time_exponent']}", **style)
            if "peak_MB" in row:
                label = f"{kind}, {way}: ^{row['memory_exponent']}"
                panels[1, column].plot(values, row["peak_MB"], label=label, **style)
        for panel in panels[:, column]:
            panel.set(xscale="log", yscale="log", xticks=values, xticklabels=[f"{v:g}" for v in values])
            panel.minorticks_off()
            panel.legend(fontsize=7, frameon=False)
            panel.spines[["top", "right"]].set_visible(False)
        panels[1, column].set_xlabel(TITLES[axis])
    panels[0, 0].set_ylabel("ms")
    panels[1, 0].set_ylabel("peak MB of a training step")
    with replacing(PICTURE) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def main(words: list[str]) -> None:
    if "--draw" not in words:
        measured = run_benchmarks(["scaling"], QUICK_ROUNDS, say=lambda line: print(line, file=sys.stderr))
        write_text(RESULT, json.dumps(measured, indent=1) + "\n")
    draw(json.loads(RESULT.read_text())["scaling"])


if __name__ == "__main__":
    main(sys.argv[1:])
