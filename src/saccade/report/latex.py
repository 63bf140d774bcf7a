"""The table of an ablation for a paper: LaTeX that can be pasted, with booktabs' rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

#: what LaTeX takes for a command, and how it is written
SPECIAL = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "\u00b1": r"$\pm$",
    "\u00d7": r"$\times$",
}
SIGNS = re.compile("|".join(map(re.escape, SPECIAL)))


def latex(rows: Sequence[Mapping[str, Any]], subject: str = "", remarks: Sequence[str] = ()) -> str:
    """A table: mean and standard deviation, the best in bold, the difference to the first row, and what it costs.

    Args:
        rows: as `saccade.ablate.summarise` gives them, as dicts; the first is the baseline.
        subject: what was varied, for the caption, e.g. the recipe.
        remarks: what else to know; they are written as comments.
    """
    generates = rows[0].get("score") == "reconstruction"
    places, score = (4, "reconstruction error") if generates else (2, "accuracy")
    means = [f"{row['last_mean']:.{places}f}" for row in rows]
    best = (min if generates else max)(means, key=float)
    counts = sorted({len(row["seeds"]) for row in rows})
    seeds = (
        f"{counts[0]} seed{'s' if counts[0] > 1 else ''}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    )
    of = f" of {subject}" if subject else ""
    caption = (
        f"Test {score} after the last epoch{of}: mean \u00b1 sample standard deviation over {seeds}, best mean in "
        "bold. Difference to the first row, paired by seed, with its 95 % interval; p from Student's t, two sides, "
        "corrected by Holm. Energy of the arithmetic per sample at 45 nm, gates included."
    )
    header = ["variant", f"{score}{'' if generates else ', %'}", "difference", "95 % interval", "p", "parameters"]
    body = [_cells(row, mean, mean == best, places) for row, mean in zip(rows, means, strict=True)]
    lines = [
        *(f"% {' '.join(remark.split())}" for remark in remarks),
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(caption)}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9]+', '-', subject).strip('-') or 'ablation'}}}",
        r"  \begin{tabular}{lrrrrrr}",
        r"    \toprule",
        f"    {' & '.join(map(escaped, [*header, 'energy, nJ']))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(cells)} \\\\" for cells in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text as LaTeX shows it."""
    return SIGNS.sub(lambda found: SPECIAL[found[0]], text)


def _cells(row: Mapping[str, Any], mean: str, is_best: bool, places: int) -> list[str]:
    c = row["comparison"] or {}
    sd = "" if row["last_sd"] is None else rf" $\pm$ {row['last_sd']:.{places}f}"
    interval = "" if c.get("low") is None else f"${c['low']:+.{places}f}$ to ${c['high']:+.{places}f}$"
    p = c.get("p_holm")
    return [
        escaped(row["label"]),
        (rf"\textbf{{{mean}}}" if is_best else mean) + sd,
        f"${c['mean']:+.{places}f}$" if c else "",
        interval,
        "" if p is None else f"{p:.3f}" if p >= 0.001 else "$<$ 0.001",
        f"{row['parameters']:,}",
        f"{row['energy_nj']:,.0f}",
    ]
