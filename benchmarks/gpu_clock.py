"""Times and memory of competitors on a GPU (or, to try the scripts, on a CPU): they take turns in every round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Case = Callable[[], object]


@dataclass(frozen=True)
class Clock:
    """Where, how often, and how small.

    `rounds` are counted, `warm_ups` before them are not. `tiny` shrinks every size so that a CPU gets through.
    """

    device: torch.device
    rounds: int
    warm_ups: int = 3
    tiny: bool = False

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def seconds(self, case: Case) -> float:
        """One call, by the GPU's own clock."""
        if not self.on_gpu:
            start = time.perf_counter()
            case()
            return time.perf_counter() - start
        start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start_event.record()
        case()
        end_event.record()
        end_event.synchronize()
        return start_event.elapsed_time(end_event) / 1e3

    def compete(self, cases: Mapping[str, Case], baseline: str) -> dict[str, Any]:
        """Median, quartiles, how many times as fast as the baseline, and peak memory; or the error of one that fails.

        The first call is timed by itself: it compiles.
        """
        rows: dict[str, Any] = {}
        running: dict[str, Case] = {}
        for name, case in cases.items():
            try:
                start = time.perf_counter()
                case()
                self.wait()
                rows[name] = {"first_call_s": round(time.perf_counter() - start, 3), "peak_MB": self.peak_MB(case)}
                running[name] = case
            except Exception as error:  # one that cannot run here is a row of the table, not the end of the run
                rows[name] = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"}
        times: dict[str, list[float]] = {name: [] for name in running}
        for round_ in range(-self.warm_ups, self.rounds):
            for name, case in running.items():
                seconds = self.seconds(case)
                if round_ >= 0:
                    times[name].append(seconds)
        for name, found in times.items():
            low, middle, high = _quartiles([1e3 * s for s in found])
            rows[name] |= {"ms_q1": low, "ms_median": middle, "ms_q3": high}
            if baseline in times:
                ratios = [b / s for b, s in zip(times[baseline], found, strict=True)]
                rows[name] |= dict(zip(("speedup_q1", "speedup_median", "speedup_q3"), _quartiles(ratios), strict=True))
        return rows

    def wait(self) -> None:
        """Until the GPU has nothing to do."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def peak_MB(self, case: Case) -> float | None:
        """Memory that a call takes at most, above what was there before; None on a CPU."""
        if not self.on_gpu:
            return None
        gc.collect()
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        case()
        self.wait()
        return round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)


def _quartiles(values: list[float]) -> list[float]:
    found = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return [float(f"{v:.4g}") for v in found]


def share(row: dict[str, Any], work: float, ceiling: float, rate: str, of: str) -> None:
    """Add work per second (in the ceiling's unit) and its share of a measured ceiling to a row of `compete`."""
    if "ms_median" in row:
        row[rate] = float(f"{work / row['ms_median'] * 1e3:.4g}")
        row[of] = round(row[rate] / ceiling, 4)
