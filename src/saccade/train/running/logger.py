"""Curves for TensorBoard, which may fail without ending a run: what counts is in metrics.csv and result.json."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger


class Curves(TensorBoardLogger):
    """Writes to a folder until that fails, says so once, and is silent from then on.

    A full disk, a folder that somebody has deleted, a TensorBoard that does not fit: all of it costs curves alone.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent, name=folder.name, version="", default_hp_metric=False)
        self.folder = folder
        self.failed = False

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self._attempt(super().log_metrics, metrics, step)

    def log_hyperparams(self, *arguments: Any, **options: Any) -> None:
        self._attempt(super().log_hyperparams, *arguments, **options)

    def log_graph(self, *arguments: Any, **options: Any) -> None:
        self._attempt(super().log_graph, *arguments, **options)

    def save(self) -> None:
        self._attempt(super().save)

    def finalize(self, status: str) -> None:
        self._attempt(super().finalize, status)

    def _attempt(self, write: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        if self.failed:
            return
        try:
            if not self.folder.is_dir() and self._experiment is not None:
                raise FileNotFoundError(f"{self.folder} is gone")
            write(*arguments, **options)
        except Exception as error:  # its writer's thread hands on whatever it met
            self.failed = True
            reason = str(error).partition("\n")[0] or type(error).__name__
            print(f"Note: no more curves for TensorBoard ({reason}). The run goes on.", file=sys.stderr)
