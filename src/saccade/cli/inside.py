"""What the commands that look inside share: a run with its network and test samples, and where findings go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from saccade.atomic import replacing, write_text
from saccade.cli.arguments import check_count, parse
from saccade.cli.own import open_experiment
from saccade.errors import require
from saccade.runs import PROBE

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import Tensor

    from saccade.data import DataInfo
    from saccade.models import SpikingNetwork
    from saccade.train.config import Experiment


@dataclass(kw_only=True)
class InsideArguments:
    """Which runs, and where they are looked at."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of finished runs."""
    code: Path | None = None
    """File of your own that the network, its attention or the data need; default: the run's, if you ran it before."""
    data_root: str | None = None
    """Folder that holds the data sets; default: the run's."""
    batch_size: int | None = None
    """Samples that are looked at together; default: the run's."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""


@dataclass(frozen=True)
class OpenRun:
    """A finished run: its network on a device, and its test part."""

    path: Path
    experiment: Experiment
    model: SpikingNetwork
    weights_sha256: str
    """Goes into every file of findings, so that those of other weights are not shown beside these."""
    info: DataInfo
    dataset: Any
    device: Any

    def batches(self, samples: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (x, labels) of the test part: all of it, or so many samples evenly spaced, to have every class."""
        from torch.utils.data import Subset

        from saccade.data import make_loader

        dataset, total = self.dataset, len(self.dataset)
        if samples is not None and samples < total:
            dataset = Subset(dataset, [i * total // samples for i in range(samples)])
        size = min(self.experiment.batch_size, len(dataset))
        for x, labels in make_loader(dataset, batch_size=size, train=False, temporal=self.info.temporal):
            yield x.to(self.device), labels.to(self.device)

    def inputs(self, samples: int) -> list[Tensor]:
        """The inputs of so many samples, evenly spaced."""
        return [x for x, _ in self.batches(samples)]

    def sample(self, index: int) -> tuple[Tensor, int]:
        """One test sample, [C, H, W] or [T, C, H, W], and its label."""
        if not 0 <= index < len(self.dataset):
            raise ValueError(
                f"The test part of {self.info.name} has samples 0 to {len(self.dataset) - 1}, not {index}."
            )
        x, label = self.dataset[index]
        return x.to(self.device), int(label)

    def store(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write what a probe found: NAME.json, and NAME.npz if there are arrays."""
        import numpy as np

        folder = self.path / PROBE
        folder.mkdir(exist_ok=True)
        if arrays is not None:
            with replacing(folder / f"{name}.npz") as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        of = {"weights_sha256": self.weights_sha256, "data": self.info.name}
        full = {**of, "class_names": list(self.info.class_names), **content}
        write_text(folder / f"{name}.json", json.dumps(_finite(full), indent=1, allow_nan=False) + "\n")

    def draw(self, name: str, figure: Figure) -> Path:
        """Write a figure beside it, NAME.png."""
        from saccade.report.figures import write_png

        return write_png(self.path / PROBE / f"{name}.png", figure)


Arguments = TypeVar("Arguments", bound=InsideArguments)


def parse_inside(kind: type[Arguments], words: Sequence[str], verb: str, text: str) -> Arguments:
    """The arguments of a verb that looks into runs; ValueError if no run is named."""
    arguments = parse(kind, words, f"saccade {verb}", text=text)
    if not arguments.runs:
        raise ValueError(f"saccade {verb} needs the folder of a run: saccade {verb} RUN. `saccade train` makes one.")
    return arguments


def open_run(path: Path, arguments: InsideArguments) -> OpenRun:
    """Load a finished run's network and its test part.

    Raises:
        FileNotFoundError: no run, no weights, or no data.
        ValueError: a damaged file, or a device that is not there.
    """
    for library, extra in (("safetensors", "train"), ("matplotlib", "report")):
        require(library, extra)
    check_count("batch_size", arguments.batch_size)

    from saccade.models.weights import load_weights
    from saccade.train.build import build_loaders
    from saccade.train.device import choose_device

    _, experiment = open_experiment(path, arguments.code)
    device = choose_device(arguments.device)
    model, card = load_weights(path)
    experiment = replace(
        experiment,
        data_root=arguments.data_root or experiment.data_root,
        batch_size=arguments.batch_size or experiment.batch_size,
        workers=0,
    )
    loaders = build_loaders(experiment)
    dataset: Any = loaders.test.dataset
    return OpenRun(path, experiment, model.to(device), card["sha256"], loaders.info, dataset.dataset, device)


def check_classifies(run: OpenRun) -> None:
    """ValueError for a run whose network has no classes."""
    from saccade.train.build import generates

    if generates(run.experiment.model):
        raise ValueError(
            f"{run.path} holds a {run.experiment.model}, which generates images: it has no classes to explain."
        )


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: None."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
