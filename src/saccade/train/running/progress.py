"""What a run shows while it trains: a bar on a terminal, and one line per epoch everywhere."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from saccade.train.learning.divergence import silence
from saccade.train.learning.task import LearningTask, epochs_done
from saccade.train.running.callbacks import History


class RunProgress(Callback):
    """A bar over all epochs with loss, accuracy, samples per second and time left; a line per epoch.

    Must come after `History`, whose rows it prints.
    """

    def __init__(self, history: History, batch_size: int, shared: dict[str, Any]) -> None:
        self.history = history
        self.batch_size = batch_size
        self.shared = shared
        self.console = Console()
        self.bar: Progress | None = None
        self.noted: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LearningTask)
        e, done = pl_module.experiment, epochs_done(trainer)
        self._say(
            f"{e.recipe}: {e.model} with attention {e.attention} on {e.data}, T = {e.steps}, {e.epochs} epochs, "
            f"in {self.history.path.parent}" + (f"; {done} of them are done" if done else "")
        )
        if self.history.otherwise:
            self._say(f"Note: {self.history.otherwise[-1]}.")
        if self.shared["processes"] > 1 or e.accumulate > 1:
            s = self.shared
            self._say(
                f"batches of {e.batch_size} over {s['processes']} processes on {s['nodes']} machines in {e.accumulate} "
                f"parts; {s['learning_rate_is']}; batch norm sees {s['batch_norm_sees']}"
            )
        if self.history.extended:
            self._say(f"The run was {self.history.extended}: {trainer.optimizers[0].param_groups[0]['lr']:.3g} now.")
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(),
                TextColumn("{task.fields[now]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            steps, epochs = pl_module.steps_per_epoch, trainer.max_epochs or 0
            self.task = self.bar.add_task(
                "train", total=steps * epochs, completed=steps * done, epoch=done + 1, epochs=epochs, now=""
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = self._shown = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if self.bar is None or now - self._shown < 0.5:  # reading the loss waits for a GPU: not in every step
            return
        assert isinstance(pl_module, LearningTask)
        self._shown = now
        done = (batch_idx + 1) // pl_module.experiment.accumulate
        rate = done * self.batch_size / (now - self._start)
        epoch = epochs_done(trainer)
        self.bar.update(
            self.task,
            completed=epoch * pl_module.steps_per_epoch + done,
            epoch=epoch + 1,
            now=f"{pl_module.glance()}  {rate:.0f}/s",
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, LearningTask)
        row = self.history.rows[-1]
        self._say(
            f"epoch {row['epoch']}/{trainer.max_epochs}  {pl_module.describe(row, self.history.part)}  "
            f"firing rate {row['firing_rate']:.3f}  {row['seconds']:.1f} s"
        )
        skipped = pl_module.divergence.skipped_steps
        notes = [*silence(pl_module.meter.rates())[0], *([f"{skipped} steps were skipped so far"] if skipped else [])]
        if notes and notes != self.noted:
            self._say(f"Note: {'; '.join(notes)}.")
        self.noted = notes

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
