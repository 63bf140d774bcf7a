"""saccade doctor: what is installed, what runs fast and why not, which data sets are found."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.cli.arguments import parse
from saccade.tables import fold, format_table, terminal_width

INDENT = "  "


@dataclass(kw_only=True)
class DoctorArguments:
    """Where to look."""

    data_root: Path | None = None
    """Folder that holds the data sets; default: $SACCADE_DATA, or ./data."""


def main(words: Sequence[str]) -> int:
    """Print everything."""
    text = "Show versions, devices, kernels and the data sets that are found."
    arguments = parse(DoctorArguments, words, "saccade doctor", text=text)

    from saccade import ops
    from saccade.data import CATALOG, default_root
    from saccade.train.running import provenance

    _section("Versions", [*provenance.versions().items(), ("commit", provenance.commit() or "not a git checkout")])
    _section("Devices", _devices())
    _section("LIF kernels, fastest first", list(ops.active_backends().items()))
    root = arguments.data_root or default_root()
    rows = [(name, entry.found_in(root), entry.summary) for name, entry in sorted(CATALOG.items())]
    _section(f"Data sets in {root.resolve()} (change it with --data-root or $SACCADE_DATA)", rows)
    return 0


def _section(title: str, rows: Sequence[Sequence[str]]) -> None:
    table = format_table(rows, width=terminal_width() - len(INDENT))
    print(f"{fold(title)}\n{textwrap.indent(table, INDENT)}\n")


def _devices() -> list[tuple[str, str]]:
    import torch

    from saccade.ops.plumbing import bfloat
    from saccade.train.running.provenance import hardware

    units = bfloat.units()
    fast = f"multiplies bfloat16 ({units}): train with --precision bfloat16" if units else "trains in float32"
    rows = [("cpu", f"{hardware(torch.device('cpu'))}, {fast}")]
    if not torch.cuda.is_available():
        built = f"torch {torch.__version__} was built for CUDA {torch.version.cuda}" if torch.version.cuda else ""
        return [*rows, ("cuda", f"none: {built or f'torch {torch.__version__} was built without CUDA'}")]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        fast = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
        rows.append(
            (f"cuda:{number}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, trains in {fast}")
        )
    return rows
