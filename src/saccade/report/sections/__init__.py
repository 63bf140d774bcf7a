"""The sections of a report, each a function from runs to blocks, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saccade.report.blocks import Block
from saccade.report.content import Run
from saccade.report.sections.cam import cam_section
from saccade.report.sections.energy import energy_section
from saccade.report.sections.firing import firing_section
from saccade.report.sections.gates import gates_section
from saccade.report.sections.learning import confusion_section, curves_section, steps_section
from saccade.report.sections.settings import (
    configuration_section,
    environment_section,
    summary_section,
    timing_section,
)

SectionMaker = Callable[[Sequence[Run]], list[Block]]

#: name, title, what makes its blocks
SECTIONS: tuple[tuple[str, str, SectionMaker], ...] = (
    ("summary", "Summary", summary_section),
    ("configuration", "Configuration", configuration_section),
    ("curves", "Learning curves", curves_section),
    ("confusion", "Confusion matrix", confusion_section),
    ("steps", "Accuracy against steps", steps_section),
    ("gates", "Gates", gates_section),
    ("cam", "Grad-CAM", cam_section),
    ("firing", "Firing", firing_section),
    ("energy", "Energy", energy_section),
    ("timing", "Timing", timing_section),
    ("environment", "Environment", environment_section),
)
