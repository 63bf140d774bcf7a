"""What the records of a grid say: means, spreads, and paired comparisons on the same seeds.

Two scores are kept apart. *Last*: the test score after the last epoch, which nobody chose. *Best*: the best epoch by
test score, which is what many papers report; it is chosen on the test set and too good by construction. The score is
the accuracy, or the reconstruction error of a network that generates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev
from typing import Any

from saccade.ablate.grid import label as label_of
from saccade.ablate.score import final_score, score_of
from saccade.errors import require
from saccade.tables import Rows

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """Paired differences to the baseline, in points of accuracy (or in reconstruction error), over common seeds.

    `low` and `high` bound the mean difference with 95 % confidence (Student's t); `p` is the paired t-test's, two
    sides; `p_holm` is corrected for the number of comparisons of the table (Holm). They are None below two pairs, and
    where all differences are the same.
    """

    pairs: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Row:
    """All seeds of one variant; accuracies from 0 to 100, energy in nJ per sample, operations per sample."""

    label: str
    seeds: tuple[int, ...]
    #: "accuracy", in percent, or "reconstruction": what `last` and `max` are of
    score: str
    last_mean: float
    last_sd: float | None
    #: of the best epoch: for a reconstruction error, the smallest
    max_mean: float
    max_sd: float | None
    max_part: str
    parameters: int
    macs: float
    acs: float
    energy_nj: float
    #: energy of the network with ReLU at T = 1 over this one's: below 1, the spikes cost more
    relu_ratio: float
    #: the same by the papers' convention; None for records that lack it
    papers_relu_ratio: float | None
    seconds: float
    firing_rate: float
    #: Fréchet autoencoder distance of generated images; None where none are generated
    frechet: float | None
    comparison: Comparison | None

    def cells(self) -> dict[str, str]:
        """What a reader looks at first; `saccade.report.ablation` writes all of it."""
        places, c = 4 if self.score == "reconstruction" else 2, self.comparison
        interval = None if c is None or c.low is None or c.high is None else (c.low, c.high)
        return {
            "variant": self.label,
            "seeds": str(len(self.seeds)),
            "last epoch": f"{self.last_mean:.{places}f}",
            "sd": "" if self.last_sd is None else f"{self.last_sd:.{places}f}",
            "difference": "" if c is None else f"{c.mean:+.{places}f}",
            "95 % interval": "" if interval is None else " to ".join(f"{bound:+.{places}f}" for bound in interval),
            "p (Holm)": "" if c is None or c.p_holm is None else f"{c.p_holm:.3f}",
            "parameters": f"{self.parameters:,}",
            "energy, nJ": f"{self.energy_nj:,.0f}",
        }


def summarise(records: Records, labels: Sequence[str]) -> Rows[Row]:
    """A row per label that has records, in the order of the labels; the first is the baseline of the comparisons."""
    groups = by_label(records, labels)
    baseline = groups.get(labels[0])
    compared = {label: compare(found, baseline) for label, found in groups.items() if baseline and label != labels[0]}
    corrected = holm(compared)
    return Rows(_row(label, found, corrected.get(label)) for label, found in groups.items())


def by_label(records: Records, labels: Sequence[str]) -> dict[str, Records]:
    """The records of every label that has some, in the order of the labels."""
    groups = {label: [r for r in records if label_of(r["varied"]) == label] for label in labels}
    return {label: found for label, found in groups.items() if found}


def compare(records: Records, baseline: Records) -> Comparison | None:
    """Differences of the last epoch's test score on the same seeds; None if there is no common seed."""
    a, b = ({r["seed"]: final_score(r) for r in side} for side in (records, baseline))
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    if not differences:
        return None
    n, mean = len(differences), fmean(differences)
    error = stdev(differences) / math.sqrt(n) if n > 1 else 0.0
    if error == 0:  # one pair, or the same difference at every seed: neither test nor interval is defined
        return Comparison(n, mean)
    t = require("scipy.stats", "train").t
    reach = float(t.ppf(0.975, n - 1)) * error
    return Comparison(n, mean, mean - reach, mean + reach, 2 * float(t.sf(abs(mean) / error, n - 1)))


def holm(compared: Mapping[str, Comparison | None]) -> dict[str, Comparison]:
    """The comparisons with Holm's correction: the k-th smallest of m values of p times (m - k + 1), never falling."""
    found = {label: c for label, c in compared.items() if c is not None}
    tested = sorted((c.p, label) for label, c in found.items() if c.p is not None)
    reached = 0.0
    for k, (p, label) in enumerate(tested):
        reached = max(reached, min(1.0, p * (len(tested) - k)))
        found[label] = replace(found[label], p_holm=reached)
    return found


def _row(label: str, records: Records, comparison: Comparison | None) -> Row:
    score = score_of(name for name in records[0] if name.startswith("test_"))[0]
    last = [final_score(r) for r in records]
    most = [score.scale * score.best(r["epochs_scored"][score.name]) for r in records]
    distances = [
        r["frechet_autoencoder_distance"] for r in records if r.get("frechet_autoencoder_distance") is not None
    ]
    totals = [(r["energy"]["sums"]["total"], r["energy"]["samples"]) for r in records]
    return Row(
        label=label,
        seeds=tuple(sorted(r["seed"] for r in records)),
        score=score.name,
        last_mean=fmean(last),
        last_sd=_spread(last),
        max_mean=fmean(most),
        max_sd=_spread(most),
        max_part=records[0]["epochs_scored"]["part"],
        parameters=records[0]["parameters"],
        macs=fmean(total["macs"] / samples for total, samples in totals),
        acs=fmean(total["acs"] / samples for total, samples in totals),
        energy_nj=1e6 * fmean(r["energy"]["energy_mj"] for r in records),
        relu_ratio=fmean(r["energy"]["relu_energy_mj"] / r["energy"]["energy_mj"] for r in records),
        papers_relu_ratio=_papers_ratio([r["energy"].get("papers") for r in records]),
        seconds=median(r["seconds"] for r in records),
        firing_rate=fmean(r["firing_rate"] for r in records),
        frechet=fmean(distances) if len(distances) == len(records) else None,
        comparison=comparison,
    )


def _papers_ratio(papers: Sequence[Mapping[str, float] | None]) -> float | None:
    ratios = [p["relu_energy_mj"] / p["energy_mj"] for p in papers if p is not None]
    return fmean(ratios) if len(ratios) == len(papers) else None


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None
