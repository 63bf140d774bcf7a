"""What happens around the epochs of a run: seeds, the table of epochs, the checkpoint."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from saccade.atomic import write_text
from saccade.data import draw_seed
from saccade.train.learning.task import LearningTask, epochs_done


class StepSeed(Callback):
    """Seeds torch before every training step from (seed, epoch, step): what dropout and mixing draw is theirs alone.

    Once per epoch would not do: in a resumed run Lightning makes the loader's iterator, which draws a number, before
    the epoch starts, in all other epochs after.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(draw_seed(self.seed, epochs_done(trainer), batch_idx))


class History(Callback):
    """One row per epoch, kept in the checkpoint, so that a resumed run continues the table exactly.

    The learning rate is that of the epoch's first step; seconds include the scoring.

    Args:
        path: the CSV file, written anew after every epoch.
        part: what is scored after every epoch, "validation" or "test".
        task: whose numbers are kept.
        planned: epochs that the run in the folder was to have until now; None: there is none.
        otherwise: what is different from the machine that the run was on until now, in words.
        writes: whether this process is the one that writes the file.
    """

    def __init__(
        self,
        path: Path,
        part: str,
        task: type[LearningTask],
        planned: int | None = None,
        otherwise: str | None = None,
        writes: bool = True,
    ) -> None:
        self.path = path
        self.writes = writes
        self.part = part
        measured = [column.format(part=part) for column in task.columns]
        self.columns = ["epoch", *measured, "lr", "firing_rate", "seconds"]
        self.rows: list[dict[str, Any]] = []
        self.step_seconds: list[float] = []
        """Wall-clock time per training step, by epoch: loading included, scoring not."""
        self.otherwise = [] if otherwise is None else [otherwise]
        """What was different when the run was resumed, in words, each time."""
        self.plans: list[dict[str, int]] = [] if planned is None else [{"after": 0, "epochs": planned}]
        """How many epochs the run was to have, from the start and from after which epoch on."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert trainer.max_epochs is not None
        if not self.plans or self.plans[-1]["epochs"] != trainer.max_epochs:
            self.plans.append({"after": epochs_done(trainer), "epochs": trainer.max_epochs})

    @property
    def extended(self) -> str | None:
        """What became of the plan, in words; None for a run that was planned once."""
        changes = [
            f"planned for {old['epochs']} epochs, and for {new['epochs']} after epoch {new['after']}: from there on "
            f"the learning rate follows the schedule over {new['epochs']} epochs"
            for old, new in pairwise(self.plans)
        ]
        return "; ".join(changes) or None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.perf_counter()
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._trained = time.perf_counter() - self._start

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LearningTask)
        self.step_seconds.append(self._trained / pl_module.steps_per_epoch)
        values = (
            len(self.rows) + 1,
            *pl_module.measured(),
            self._lr,
            pl_module.meter.mean_rate(),
            round(time.perf_counter() - self._start, 3),
        )
        self.rows.append(dict(zip(self.columns, values, strict=True)))
        self.write()
        if trainer.logger is not None:
            numbers = {k: v for k, v in self.rows[-1].items() if v is not None and k != "epoch"}
            rates = {f"firing_rate/{name}": rate for name, rate in pl_module.meter.rates().items()}
            trainer.logger.log_metrics({**numbers, **rates}, step=len(self.rows))

    def write(self) -> None:
        """Write the table as it stands."""
        if not self.writes:
            return
        text = io.StringIO()
        table = csv.DictWriter(text, self.columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.path, text.getvalue())

    @property
    def seconds(self) -> float:
        """Wall-clock time of all epochs, those before a resume included."""
        return sum(row["seconds"] for row in self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": [dict(row) for row in self.rows],
            "step_seconds": list(self.step_seconds),
            "plans": [dict(plan) for plan in self.plans],
            "otherwise": list(self.otherwise),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state_dict["rows"]]
        self.step_seconds = list(state_dict["step_seconds"])
        self.otherwise = [*state_dict.get("otherwise", []), *self.otherwise]
        self.plans = [dict(plan) for plan in state_dict.get("plans", self.plans)]  # 0.1.0 kept none
        self.write()


class SaveCheckpoint(Callback):
    """Saves the checkpoint to resume from at the end of every epoch. Must come after all that changes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.path)


class TellEpoch(Callback):
    """Calls a function with every new row of the table of epochs, after the checkpoint that holds it was saved."""

    def __init__(self, history: History, tell: Callable[[dict[str, Any]], None]) -> None:
        self.history = history
        self.tell = tell

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tell(dict(self.history.rows[-1]))
