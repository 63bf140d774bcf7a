"""Write the tables of measured results into README.md and docs/, from the JSON in results/ and benchmarks/results/.

python benchmarks/tables.py            # rewrite what stands between the markers
python benchmarks/tables.py --check    # exit 1 if a file is not what this would write
"""

from __future__ import annotations

import math
import re
import shlex
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cam_table import deletion_table
from energy_table import energy_table
from events_table import events_tables
from experiments import EXPERIMENTS
from pages import ROOT, rewrite, spread, table
from papers_table import papers_table
from saccade.ablate import MATCHED, compare, read_records, summarise
from saccade.ablate.grid import label
from saccade.report.ablation import cells as ablation_cells
from saccade.report.ablation import markdown as ablation_table

#: in one table; the small budgets of the gates' comparison have tables of their own
MAIN = [name for name in EXPERIMENTS if not name.endswith("-gates")]
#: in the README: experiment and variant
HEADLINES = (("digits", "none"), ("digits", "dta"), ("mnist", "tcja"))
HEADER = (
    "data",
    "network",
    "attention",
    "T",
    "parameters",
    "epochs",
    "seeds",
    "test accuracy",
    "difference to none",
    "firing rate",
    "training time",
    "cores",
)
Records = list[dict[str, Any]]


def variants(folder: Path) -> dict[str, Records]:
    """The records of an experiment by variant, in the order of its grid."""
    records = read_records(folder)
    found: dict[str, Records] = {}
    for name in order(folder.name):
        runs = [r for r in records if variant(r) == name]
        if runs:
            found[name] = runs
    return found


def order(experiment: str) -> list[str]:
    """The values of attention of an experiment, as its command names them."""
    words = shlex.split(EXPERIMENTS[experiment])
    return words[words.index("--vary") + 1].partition("=")[2].split(",")


def variant(record: dict[str, Any]) -> str:
    """What sets a run apart, the seed apart."""
    return label(record["varied"]) if "varied" in record else str(record["attention"])


def rows(results: Path) -> list[tuple[str, ...]]:
    """One row per experiment and variant; several seeds as mean ± sample standard deviation."""
    by_experiment = [variants(results / name) for name in MAIN if (results / name).is_dir()]
    return [row(kind, runs, found.get("none")) for found in by_experiment for kind, runs in found.items()]


def row(kind: str, runs: Records, baseline: Records | None) -> tuple[str, ...]:
    first = runs[0]
    accuracy = spread([100 * r["test_accuracy"] for r in runs], 2)
    return (
        first["data"],
        f"{first['model']} x {first['experiment']['width']:.3g}",
        kind.replace("matched:", "none, widened to "),
        str(first["experiment"]["steps"]),
        f"{first['parameters']:,}",
        str(first["epochs"]),
        str(len(runs)),
        f"{accuracy} % of {first['test_samples']:,}",
        difference(runs, baseline) if kind != "none" else "",
        f"{statistics.mean(r['firing_rate'] for r in runs):.3f}",
        f"{statistics.median(r['seconds'] for r in runs):.0f} s",
        cores(first["hardware"]),
    )


def difference(runs: Records, baseline: Records | None) -> str:
    """To the baseline, paired by seed, with its 95 % interval."""
    compared = compare(runs, baseline) if baseline else None
    if compared is None:
        return ""
    interval = "" if compared.low is None else f" ({compared.low:+.2f} to {compared.high:+.2f})"
    return f"{compared.mean:+.2f}{interval}"


def cores(hardware: str) -> str:
    """How many were used, from "Xeon, 1 of 2 cores"; the whole text for another device."""
    found = re.search(r"(\d+) of \d+ cores", hardware)
    return found[1] if found else hardware


def readme(results: Path) -> str:
    """Three rows of the table of main experiments."""
    chosen = []
    for experiment, kind in HEADLINES:
        found = variants(results / experiment)
        chosen.append(row(kind, found[kind], found.get("none"))[:9])
    note = "The last epoch, not chosen by its score. Differences in points, paired by seed, with 95 % intervals."
    return f"{table([HEADER[:9], *chosen])}\n\n{note}"


def main_table(results: Path) -> str:
    """The one table of the main experiments."""
    runs = [run for name in MAIN if (results / name).is_dir() for run in read_records(results / name)]
    machines = sorted({r["hardware"].partition(",")[0] for r in runs})
    notes = sorted({r["data_note"] for r in runs if r["data_note"]})
    text = (
        "The last epoch's score; no epoch was chosen by it. Differences in points, paired by seed, with 95 % intervals "
    )
    text += f"(Student's t, not corrected for their number). {'; '.join(machines)}. Data: {'; '.join(notes)}."
    return f"{table([HEADER, *rows(results)])}\n\n{text}"


def page(results: Path) -> str:
    """Every ablation in full: command, table, what is significant, picture."""
    parts = []
    for name in EXPERIMENTS:
        found = variants(results / name) if (results / name).is_dir() else {}
        if len(found) > 1 and all("energy" in r for runs in found.values() for r in runs):
            parts.append(ablation(name, found))
    return "\n\n".join(filter(None, [*parts, energy_table(results)]))


def ablation(name: str, found: dict[str, Records]) -> str:
    """One experiment of the page."""
    records = [r for runs in found.values() for r in runs]
    summary = [asdict(r) for r in summarise(records, list(found))]
    first = records[0]
    said = f"{verdict(summary)}{control(found)} {resolution(summary[0], first['test_samples'])} {against_relu(summary)}"
    sentences = [
        f"`saccade ablate {EXPERIMENTS[name]}`",
        f"{first['data_note'] or first['data']}. {said}",
        ablation_table(summary).strip(),
    ]
    if (ROOT / "results" / name / "accuracy.png").exists():
        sentences.append(f"![Test accuracy of every run of {name}, by variant](../results/{name}/accuracy.png)")
    return "\n\n".join([f"## {name}", *sentences])


def verdict(summary: list[dict[str, Any]]) -> str:
    """Which differences are significant at 5 % after Holm's correction, in a sentence."""
    compared = [r for r in summary[1:] if r["comparison"]]
    passed = [r for r in compared if r["comparison"]["p_holm"] is not None and r["comparison"]["p_holm"] < 0.05]
    base = summary[0]["label"]
    if not passed:
        return f"**No variant differs significantly from {base}** (paired t-test over seeds, 5 %, Holm's correction)."
    named = ", ".join(f"{r['label']} ({ablation_cells(r)[4]} points)" for r in passed)
    return (
        f"**Significantly different from {base}** (paired t-test over seeds, 5 %, Holm's correction): {named}; the "
        f"other {len(compared) - len(passed)} are not."
    )


def control(found: dict[str, Records]) -> str:
    """Every attention against the network that was widened to its parameters."""
    pairs = [(name.removeprefix(MATCHED), name) for name in found if name.startswith(MATCHED)]
    compared = [(a, b, compare(found[a], found[b])) for a, b in pairs if a in found]
    said = [
        f" {a} against {b}: {c.mean:+.2f} points ({c.low:+.2f} to {c.high:+.2f}, p = {c.p:.3f}, not corrected)."
        for a, b, c in compared
        if c is not None and c.low is not None
    ]
    return "".join(said)


def against_relu(summary: list[dict[str, Any]]) -> str:
    """Which variants take less energy than the same network with ReLU, and which more."""
    ratios = {row["label"]: row["relu_ratio"] for row in summary}
    more = [f"{name} ({ratio:.2f})" for name, ratio in ratios.items() if ratio < 1]
    least, most = (
        f"{ratios[name]:.2f} ({name})" for name in (min(ratios, key=ratios.get), max(ratios, key=ratios.get))
    )
    text = f"The same network with ReLU at T = 1 takes {least} to {most} times the energy"
    return f"{text}: with {', '.join(more)}, spikes and gates cost more than they save." if more else f"{text}."


def resolution(row: dict[str, Any], samples: int) -> str:
    """What the size of the test set can tell."""
    low, high = wilson(row["last_mean"] / 100, samples)
    return (
        f"All seeds share one test set of {samples:,} samples: one makes {100 / samples:.2f} points, and a score of "
        f"{row['last_mean']:.1f} % on as many other samples would lie anywhere from {low:.1f} to {high:.1f} % (Wilson, "
        f"95 %). The seeds say what training draws; they say nothing about other test samples."
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n samples, in percent."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return 100 * (centre - reach), 100 * (centre + reach)


#: page -> marker -> what stands there
FILES: dict[str, dict[str, Callable[[Path], str]]] = {
    "README.md": {"results": readme},
    "docs/results.md": {"all": main_table, "results": page},
    "docs/papers.md": {"results": papers_table},
    "docs/inside.md": {"results": deletion_table},
    "docs/data-events.md": {"results": lambda results: events_tables()},
}


def main(arguments: list[str]) -> None:
    for page_name, parts in FILES.items():
        written = {name: write(ROOT / "results") for name, write in parts.items()}
        rewrite(page_name, "tables.py", written, check="--check" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
