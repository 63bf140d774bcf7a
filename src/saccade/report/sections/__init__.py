"""The sections of a report, each a function from runs to a `Section`, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saccade.report.blocks import Section
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

SectionMaker = Callable[[Sequence[Run]], Section]

SECTIONS: tuple[SectionMaker, ...] = (
    summary_section,
    configuration_section,
    curves_section,
    confusion_section,
    steps_section,
    gates_section,
    cam_section,
    firing_section,
    energy_section,
    timing_section,
    environment_section,
)
