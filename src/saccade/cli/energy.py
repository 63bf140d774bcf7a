"""saccade energy: operations and energy from real spikes, and who fires how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.cli.arguments import check_count
from saccade.cli.inside import InsideArguments, OpenRun, open_run, parse_inside
from saccade.report.content import read_run
from saccade.runs import PROBE

if TYPE_CHECKING:
    from saccade.probe import CostTable, EnergyReport, LayerFiring
    from saccade.tables import Rows


SAMPLES = 64


@dataclass(kw_only=True)
class EnergyArguments(InsideArguments):
    """Which runs, how many samples, and what an operation costs."""

    samples: int = SAMPLES
    """Test samples, evenly spaced."""
    table: str = "45nm-float32"
    """Costs in pJ: 45nm-float32, 45nm-float16, 45nm-int8, or a JSON file with mac_pj and ac_pj."""


def main(words: Sequence[str]) -> int:
    """Measure every run and print the layers, the sums, the formula and its sources."""
    text = "Operations and energy per sample from real spikes, with the gates, against ReLU at T=1; and firing rates."
    arguments = parse_inside(EnergyArguments, words, "energy", text)
    check_count("samples", arguments.samples)

    from saccade.probe import cost_table
    from saccade.tables import fold

    table = cost_table(arguments.table)
    for path in arguments.runs:
        report, layers = probe_energy(open_run(path, arguments), arguments.samples, table)
        print(f"{path}\n\n{_layers(report)}\n\n{_sums(report)}\n\nSpikes per neuron and step\n{layers}\n")
        content = report.as_json()
        print(fold(f"{content['formula']}\n{content['papers']['formula']}\nCosts: {table.source}."))
        print(fold("\n".join(f"- {note}" for note in (*content["notes"], content["papers"]["note"]))))
        if content["not_counted"]:
            print(fold(f"NOT COUNTED, because no rule is known: {content['not_counted']}"))
        print(f"All numbers are in {path}/probe/energy.json and firing.json.\n")
    return 0


def probe_energy(
    run: OpenRun, samples: int = SAMPLES, table: CostTable | None = None
) -> tuple[EnergyReport, Rows[LayerFiring]]:
    """Write one run's operations, energy, firing rates and rasters; default costs: those it was given before."""
    from saccade.probe import measure_energy, measure_firing, record_spikes
    from saccade.report.figures import raster_figure, raster_title, rates_figure

    batches = run.inputs(samples)
    report = measure_energy(run.model, batches, table or costs_of(run.path))
    run.store("energy", report.as_json())
    layers = measure_firing(run.model, batches)
    rasters = {f"raster {name}": raster.numpy() for name, raster in record_spikes(run.model, batches[0]).items()}
    summaries = [layer.summary() for layer in layers]
    run.store("firing", {"samples": report.samples, "layers": summaries}, rasters)
    if layers:
        run.draw("rates", rates_figure([s["layer"] for s in summaries], [s["rate_per_step"] for s in summaries]))
        shown = ((layer, rasters[f"raster {layer['layer']}"]) for layer in summaries)
        run.draw("raster", raster_figure({raster_title(layer, found.shape[1]): found for layer, found in shown}))
    return report, layers


def costs_of(run: Path) -> CostTable:
    """Those of the run's energy.json; where there is none, those of `saccade energy`."""
    from saccade.probe.costs import FLOAT32, table_from_json

    kept = read_run(run).probes.get("energy", {}).get("table")
    return FLOAT32 if kept is None else table_from_json(kept, run / PROBE / "energy.json")


def _layers(report: EnergyReport) -> str:
    from saccade.tables import format_table

    keys = ("connections", "synops", "macs", "acs", "muls", "adds", "functions")
    rows = []
    for layer in report.as_json()["layers"]:
        rate = "" if layer["input_rate"] is None else f"{layer['input_rate']:.2%}"
        numbers = (f"{layer[key] / report.samples:,.1f}" for key in keys)
        rows.append((layer["layer"], layer["kind"], layer["reads"], rate, *numbers, f"{1e6 * layer['energy_mj']:,.3f}"))
    return "Operations per sample, all steps\n" + format_table(rows, ("layer", "for", "reads", "not zero", *keys, "nJ"))


def _sums(report: EnergyReport) -> str:
    from saccade.tables import format_table

    return f"Energy per sample, mean of {report.samples}\n{format_table(report.rows())}"
