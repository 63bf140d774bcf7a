"""Have the runs of a grid done by Ray Tune: on this machine, or on all machines of a Ray cluster.

Liaw, Liang, Nishihara, Moritz, Gonzalez, Stoica. Tune: A Research Platform for Distributed Model Selection and
Training. 2018, arXiv 1807.05118.

What is done lies in the runs' folders alone (one file system for all machines). A trial of Tune goes on with its run
from the last whole epoch, wherever it is started, so a killed worker, machine or driver costs the epochs that were
under way. Nothing of Tune's own state is needed again.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from saccade.ablate.cell import Work, run_cell
from saccade.ablate.folder import GridFolder
from saccade.ablate.grid import Cell
from saccade.ablate.score import score_of
from saccade.errors import require
from saccade.files import write_object
from saccade.plugins import run_file
from saccade.train.running.run_folder import RunFolder

#: deaths of worker or machine that a run survives
DEATHS = 8
POLL_SECONDS = 0.5
#: tries to start Ray on this machine
STARTS = 3


@dataclass(frozen=True)
class Place:
    """Where runs go, and what each of them takes.

    Attributes:
        address: None: this machine; "auto": the Ray cluster that this machine belongs to; "ray://HOST:10001": another.
        jobs: runs at a time; None: as many as there is room for.
        cpus: cores of a run.
        gpus: GPUs of a run, also shares of one; None: one if it would train on a GPU, else none.
        stop_early: end the runs of hopeless cells (ASHA).
    """

    address: str | None = None
    jobs: int | None = None
    cpus: int = 1
    gpus: float | None = None
    stop_early: bool = False


def run_grid(
    cells: Sequence[Cell], folder: GridFolder, place: Place, work: Work, tick: Callable[[], None]
) -> list[Cell]:
    """Run every cell that has no record yet; returns those that failed.

    Args:
        cells: in the order in which they are started.
        folder: of the grid; all machines see it under the same path.
        place: where.
        work: does a run, in its own process; a function of a module.
        tick: called twice a second.

    Raises:
        MissingExtraError: Ray is not installed.
        KeyboardInterrupt: it was stopped; its processes have been stopped too, and can go on.
        ValueError: a folder holds another experiment than the cell's, or there is no cluster at the address.
    """
    pending = [cell for cell in cells if not folder.record(cell.name).exists()]
    if not place.stop_early:  # what was stopped early goes on
        for cell in pending:
            folder.mark(cell.name).unlink(missing_ok=True)
    pending = [cell for cell in pending if not folder.mark(cell.name).exists()]
    folder.prepare(pending)
    if pending:
        heard = signal.getsignal(signal.SIGTERM)  # Ray puts its own in its place
        with _cluster(place) as ray, _as_ctrl_c(heard):
            folder = GridFolder(folder.path.resolve())
            future = _submit(ray, place, pending, folder, work)
            while not future.done():
                tick()
                time.sleep(POLL_SECONDS)
            future.result()
    tick()
    left = (folder.record(cell.name).exists() or folder.mark(cell.name).exists() for cell in cells)
    return [cell for cell, done in zip(cells, left, strict=True) if not done]


@contextmanager
def _cluster(place: Place) -> Iterator[Any]:
    """Ray, connected to the address; without one it is started here, and ended with it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "grid")
    require("ray.tune", "grid")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if place.address is None:
        # "local": not a cluster that happens to run on this machine; the path of Ray's sockets has to be short
        options |= {"address": "local", "include_dashboard": False, "num_cpus": max(place.cpus, os.cpu_count() or 1)}
        os.environ.pop("RAY_ADDRESS", None)
    else:
        options |= {"address": place.address}
    start_ray(ray, options)
    try:
        yield ray
    finally:
        ray.shutdown()


def start_ray(ray: Any, options: dict[str, Any]) -> None:
    """Start Ray or connect to it. It gives its processes 20 seconds to start, too few where others use the cores."""
    for left in reversed(range(STARTS)):
        try:
            ray.init(**options)
            return
        except (ConnectionError, ValueError) as error:
            raise ValueError(
                f"There is no Ray cluster at {options.get('address')} ({str(error).splitlines()[0]}). Start one with "
                "`ray start --head`, or leave out --address to use this machine alone."
            ) from None
        except Exception as error:  # Ray has no type for it
            if type(error).__name__ == "AuthenticationError":
                raise ValueError(
                    f"The Ray cluster at {options.get('address')} asks for its token. Bring ~/.ray/auth_token from the "
                    "machine of its head here, and set RAY_AUTH_MODE=token."
                ) from None
            if not left:
                raise ValueError(
                    f"Ray could not be started on this machine ({str(error).splitlines()[0]}). Try again when others "
                    "use it less, or do one run at a time without Ray: --cell N."
                ) from error


def _submit(ray: Any, place: Place, cells: Sequence[Cell], folder: GridFolder, work: Work) -> Future[None]:
    """Start Tune; the future ends when all trials have.

    It runs in a worker, beside this process where that is in the cluster, and so ends with Ray however that ends; in a
    thread here it would start Ray again.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    on_gpu = _on_gpu(cells, ray.cluster_resources())
    place = replace(place, gpus=(1.0 if on_gpu else 0.0) if place.gpus is None else place.gpus)
    beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    run = ray.remote(num_cpus=0, max_retries=DEATHS, scheduling_strategy=beside)(_tune)
    return run.remote(cells, folder, place, work).future()


def _on_gpu(cells: Sequence[Cell], resources: dict[str, float]) -> bool:
    device = cells[0].experiment.device
    return device == "cuda" or (device == "auto" and resources.get("GPU", 0) > 0)


def _tune(cells: Sequence[Cell], folder: GridFolder, place: Place, work: Work) -> None:
    """Run the cells as trials of one Tune experiment; marks those that were stopped early."""
    from ray import tune

    _give_back()
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one speaks at every verbosity
    # the scheduler's own files, of use to nobody afterwards
    scratch = folder.path / "tune"
    shutil.rmtree(scratch, ignore_errors=True)
    e = cells[0].experiment
    per_run = (e.devices or 1) * (e.nodes or 1)
    trial = partial(_trial, folder, work, place.cpus, e.code, e.code_sha256)
    trainable = tune.with_resources(trial, {"cpu": place.cpus * per_run, "gpu": (place.gpus or 0) * per_run})
    tuner = tune.Tuner(
        trainable,
        param_space={"cell": tune.grid_search([cell.name for cell in cells])},
        tune_config=tune.TuneConfig(max_concurrent_trials=place.jobs, scheduler=_scheduler(cells, place)),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=DEATHS),
        ),
    )
    results = tuner.fit()
    if place.stop_early:
        _mark_stopped(cells, folder, results)
    shutil.rmtree(scratch, ignore_errors=True)


def _give_back() -> None:
    """Free what Tune had reserved for its trials in a worker that died: Ray keeps it for as long as the driver lives,
    and the trials of the next would wait for it for ever."""
    import ray
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

    job = ray.get_runtime_context().get_job_id()
    for identity, reserved in placement_group_table().items():
        if identity.endswith(job) and reserved["state"] != "REMOVED":  # an identity ends with that of its job
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(identity))))


def _scheduler(cells: Sequence[Cell], place: Place) -> Any:
    """ASHA, or first come, first served."""
    if not place.stop_early:
        return None
    from ray.tune.schedulers import ASHAScheduler

    epochs = max(cell.experiment.epochs for cell in cells)
    # never in the last epoch, whose run would then have no result; scores are reported so that more is better
    return ASHAScheduler(
        "epoch", "score", "max", max_t=epochs + 1, grace_period=max(1, epochs // 8), reduction_factor=2
    )


def _trial(
    folder: GridFolder, work: Work, cpus: int, code: str | None, sha256: str | None, config: dict[str, Any]
) -> None:
    """A trial, in a process of its own. `code` is the user's own file, which the driver was told to run."""
    import torch
    from ray import tune

    torch.set_num_threads(cpus)
    if code is not None and run_file(code).sha256 != sha256:
        raise ValueError(f"{code} is another file on this machine than where the grid was started.")
    cell = config["cell"]
    epochs = RunFolder(folder.run(cell)).read_config().epochs

    def report(row: dict[str, Any]) -> None:
        epoch = int(row["epoch"])
        if epoch < epochs:  # after the last one there is nothing to decide
            score, part = score_of(row)
            value = float(row[f"{part}_{score.name}"])
            tune.report({"cell": cell, "epoch": epoch, "score": value if score.mode == "max" else -value})

    for row in folder.rows(cell):  # those before this process; a scheduler looks at every epoch
        report(row)
    run_cell(folder, cell, work, report)


def _mark_stopped(cells: Sequence[Cell], folder: GridFolder, results: Any) -> None:
    for result in results:
        seen = result.metrics or {}
        cell = next((cell for cell in cells if cell.name == seen.get("cell")), None)
        if cell is None or result.error or folder.record(cell.name).exists():
            continue
        if seen["epoch"] < cell.experiment.epochs:
            write_object(folder.mark(cell.name), {"after_epoch": seen["epoch"], "score": abs(seen["score"])})


@contextmanager
def _as_ctrl_c(heard: Any) -> Iterator[None]:
    """SIGTERM ends a grid as Ctrl-C does; who heard it before is told."""

    def stop(number: int, frame: Any) -> None:
        if callable(heard):
            heard(number, frame)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
