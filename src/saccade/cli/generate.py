"""saccade generate: what a trained VAE draws, as image grids, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from saccade.cli.arguments import check_count, parse
from saccade.cli.own import open_experiment
from saccade.errors import require
from saccade.report.grid import save_grid
from saccade.tables import format_table

if TYPE_CHECKING:
    from saccade.data import BatchLoader
    from saccade.models.fsvae import FSVAE
    from saccade.train.config import Experiment
    from saccade.train.device import Machine

COLUMNS = 10
TEXT = "Draw samples, reconstructions and interpolations with the VAE of a run."


@dataclass(kw_only=True)
class GenerateArguments:
    """Which VAE, and what is drawn."""

    run_dir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of a finished run of fsvae."""
    out: Path | None = None
    """Folder for the images; default: RUN_DIR/generated."""
    count: int = 100
    """Samples, and about half as many test images to reconstruct."""
    seed: int = 0
    """Of all that is drawn."""
    metrics: bool = False
    """Also score the whole test part: reconstruction, Fréchet autoencoder distance, FID and inception score where the
    Inception weights are at hand, firing rates and energy of encoder, posterior, prior and decoder."""
    inception: Path | None = None
    """File of the Inception weights; default: where torch hub would put them."""
    code: Path | None = None
    """File of your own that the network, its attention or the data need; default: the run's, if you ran it before."""
    data_root: str | None = None
    """Folder that holds the data sets; default: the run's."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    backend: str = "auto"
    """LIF kernel: auto, or one by name; see saccade doctor."""


def main(words: Sequence[str]) -> int:
    """Draw, score if asked to, and say where it is."""
    arguments = parse(GenerateArguments, words, "saccade generate", text=TEXT)
    check_count("count", arguments.count, least=2)
    for library in ("safetensors", "PIL"):
        require(library, "train")

    from saccade.train.build import build_loaders
    from saccade.train.device import choose_machine

    model, experiment = _load(arguments)
    machine = choose_machine(experiment)
    model = model.to(machine.device)
    out = arguments.out or arguments.run_dir / "generated"
    out.mkdir(parents=True, exist_ok=True)
    _draw_samples(model, arguments, machine, out)
    test = build_loaders(experiment).test
    _draw_from_images(model, test, arguments, machine, out)
    if arguments.metrics:
        _score(model, test, arguments, experiment, machine, out)
    return 0


def _load(arguments: GenerateArguments) -> tuple[FSVAE, Experiment]:
    from saccade.models.fsvae import FSVAE
    from saccade.models.weights import load_weights

    folder, experiment = open_experiment(arguments.run_dir, arguments.code)
    model, _ = load_weights(folder.path, backend=arguments.backend)
    if not isinstance(model, FSVAE):
        raise ValueError(
            f"{folder.path} holds {experiment.model}, which classifies images and cannot draw any. "
            f"Give the folder of a run of fsvae, e.g. of: saccade train mnist-fsvae-small."
        )
    data_root = arguments.data_root or experiment.data_root
    return model, replace(experiment, device=arguments.device, data_root=data_root, max_batches=None)


def _draw_samples(model: FSVAE, arguments: GenerateArguments, machine: Machine, out: Path) -> None:
    import torch

    from saccade.train.images.gallery import samples

    torch.manual_seed(arguments.seed)
    save_grid(out / "samples.png", samples(model, arguments.count, machine), COLUMNS)
    print(f"{arguments.count} samples of the prior: {out / 'samples.png'}")


def _draw_from_images(
    model: FSVAE, test: BatchLoader, arguments: GenerateArguments, machine: Machine, out: Path
) -> None:
    import torch

    from saccade.train.images.gallery import interpolations, reconstructions
    from saccade.train.learning.generation import first_images

    images = first_images(test, max(COLUMNS, arguments.count // 2 // COLUMNS * COLUMNS))
    columns = min(COLUMNS, len(images))
    images = images[: len(images) // columns * columns]
    torch.manual_seed(arguments.seed)
    save_grid(out / "reconstructions.png", reconstructions(model, images, columns, machine), columns)
    print(f"{len(images)} test images, each row above its reconstructions: {out / 'reconstructions.png'}")
    pairs = images[: min(len(images), 2 * COLUMNS) // 2 * 2]
    save_grid(out / "interpolations.png", interpolations(model, pairs, COLUMNS, machine), COLUMNS)
    print(f"{len(pairs) // 2} ways between test images: {out / 'interpolations.png'}")


def _score(
    model: FSVAE, test: BatchLoader, arguments: GenerateArguments, experiment: Experiment, machine: Machine, out: Path
) -> None:
    from saccade.atomic import write_text
    from saccade.probe.generation import as_json, measure_generation
    from saccade.train.images.inception import GENERATED, find_weights, inception_metrics
    from saccade.train.learning.generation import first_images, generate, images_of, score_images

    found, _ = score_images(model, test, experiment, machine, arguments.seed)
    weights = find_weights(arguments.inception)
    if isinstance(weights, Path):
        drawn = generate(model, GENERATED, experiment.batch_size, machine)
        found["inception"] = inception_metrics(images_of(test), drawn, weights, machine.device)
    else:
        found["inception"] = weights
    found["energy"] = as_json(measure_generation(model, first_images(test, 100).to(machine.device)))
    write_text(out / "metrics.json", json.dumps({"seed": arguments.seed, **found}, indent=2) + "\n")
    print(format_table(_rows(found)))
    print(f"All of it: {out / 'metrics.json'}")


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    distance, energy, inception = found["frechet_autoencoder_distance"], found["energy"], found["inception"]
    rows = [
        ("reconstruction", f"{found['test_reconstruction']:.4f} (MSE in [-1, 1], {found['test_samples']} test images)"),
        ("Fréchet autoencoder", "none" if distance is None else f"{distance:.2f}"),
        ("", found["frechet_autoencoder_distance_is"]),
    ]
    if isinstance(inception, dict):
        score, spread = inception["inception_score"], inception["inception_score_std"]
        rows.append(("FID", f"{inception['fid']:.2f}"))
        rows.append(("inception score", f"{score:.3f} +- {spread:.3f}"))
        rows.append(("", inception["settings"]))
    else:
        rows.append(("FID, inception score", inception))
    for part, rate in energy["firing_rate"].items():
        cost = energy["energy_mj_per_image"][part]
        rows.append((part, f"{rate:.4f} spikes per neuron and step, {cost:.5f} mJ per image"))
    for use, cost in energy["energy_mj_to"].items():
        rows.append((f"to {use}", f"{cost:.5f} mJ per image ({energy['costs'].partition(':')[0]})"))
    return rows
