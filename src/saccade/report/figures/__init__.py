"""Figures from arrays. Every function returns a matplotlib `Figure` and draws nothing else."""

from saccade.report.figures.ablation import ablation_figure
from saccade.report.figures.anytime import anytime_figure
from saccade.report.figures.cam import cam_rows, cam_steps
from saccade.report.figures.energy import energy_bars
from saccade.report.figures.firing import raster_figure, raster_title, rates_by_layer, rates_figure
from saccade.report.figures.gates import gate_figure
from saccade.report.figures.learning import confusion_figure, epochs_figure, learning_curves, steps_curve
from saccade.report.figures.style import to_png, to_svg, write_png

__all__ = [
    "ablation_figure",
    "anytime_figure",
    "cam_rows",
    "cam_steps",
    "confusion_figure",
    "energy_bars",
    "epochs_figure",
    "gate_figure",
    "learning_curves",
    "raster_figure",
    "raster_title",
    "rates_by_layer",
    "rates_figure",
    "steps_curve",
    "to_png",
    "to_svg",
    "write_png",
]
