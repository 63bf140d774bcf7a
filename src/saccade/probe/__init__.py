"""Looking inside: Grad-CAM over time, gates, firing, operations and energy. Functions on networks that change nothing.

Figures of what they return are drawn by `saccade.report.figures`, from arrays alone.
"""

from saccade.probe.anytime import Anytime, anytime
from saccade.probe.cam import CAM, default_layer, grad_cam, upsample
from saccade.probe.costs import CostTable, cost_table
from saccade.probe.counting import count_operations
from saccade.probe.deletion import DeletionScores, deletion_test
from saccade.probe.early import EarlyAnswers, early_exit
from saccade.probe.energy import EnergyReport, measure_energy, relu_twin
from saccade.probe.firing import LayerFiring, measure_firing, record_spikes
from saccade.probe.gates import Gate, gate_effect, read_gates
from saccade.probe.overview import LayerSummary, Summary, summary
from saccade.probe.predictions import Predictions, predict

__all__ = [
    "CAM",
    "Anytime",
    "CostTable",
    "DeletionScores",
    "EarlyAnswers",
    "EnergyReport",
    "Gate",
    "LayerFiring",
    "LayerSummary",
    "Predictions",
    "Summary",
    "anytime",
    "cost_table",
    "count_operations",
    "default_layer",
    "deletion_test",
    "early_exit",
    "gate_effect",
    "grad_cam",
    "measure_energy",
    "measure_firing",
    "predict",
    "read_gates",
    "record_spikes",
    "relu_twin",
    "summary",
    "upsample",
]
