"""Energy of the shipped networks by our counting and by the papers' convention, into results/energy/shipped.json.

python benchmarks/energy.py     # a few seconds; tables.py makes a table of it
"""

from __future__ import annotations

import json

import torch

import saccade
from pages import ROOT
from saccade.atomic import write_text
from saccade.data import DataRequest, load_data
from saccade.probe import measure_energy

SAMPLES = 64
FILE = ROOT / "results" / "energy" / "shipped.json"


def measure(name: str) -> dict[str, object]:
    """Both energies of one network on test samples that are evenly spaced over the test part."""
    model, data = saccade.create_model(weights=name), saccade.weights_card(name)["data"]["name"]
    test = load_data(DataRequest(data, steps=model.steps)).test
    chosen = [test[i * len(test) // SAMPLES][0] for i in range(SAMPLES)]  # type: ignore[arg-type]
    report = measure_energy(model, torch.stack(chosen, dim=1)).as_json()
    kept = ("samples", "steps", "table", "energy_mj", "relu_energy_mj", "papers", "not_counted")
    spent = {kind: report["sums"][kind]["energy_mj"] for kind in ("synapse", "attention", "neuron", "other")}
    return {"data": data, "attention": model.attention, "spent_mj": spent, **{key: report[key] for key in kept}}


def main() -> None:
    found = {name: measure(name) for name in saccade.list_weights() if "fsvae" not in name}
    write_text(FILE, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
