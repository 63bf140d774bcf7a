"""The processes of one run: who they are, how they find each other, and what they say when one is lost.

Who started them does not matter: `saccade train --devices N` (see `saccade.train.running.launch`), torchrun, srun, LSF,
MPI or Kubeflow. Each sees its part of every batch (`saccade.data.loaders`), Lightning's DDP averages the gradients, and
the process of rank 0 alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    KubeflowEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from saccade.train.config import Experiment

#: a process that answers nothing for so long is lost; one that dies is noticed at once
PATIENCE = timedelta(minutes=10)


class ProcessLostError(ValueError):
    """A process of the run died, or cannot be reached."""


@dataclass(frozen=True)
class World:
    """This process's place among those of the run."""

    rank: int = 0
    processes: int = 1
    local_rank: int = 0
    nodes: int = 1
    environment: ClusterEnvironment | None = None

    @property
    def devices(self) -> int:
        """Processes on each machine."""
        return self.processes // self.nodes

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def strategy(self) -> DDPStrategy:
        """Lightning's part: gradients are averaged over the processes, in buckets, while backward goes on.

        Buffers are not sent round in every step: see `LearningTask.on_validation_epoch_start`.
        """
        return DDPStrategy(
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
            timeout=PATIENCE,
        )


def described(experiment: Experiment, processes: int = 1, nodes: int = 1) -> dict[str, Any]:
    """How a batch is shared out, in numbers and words; goes to result and card."""
    e = experiment
    per_step = e.batch_size // e.accumulate
    seen = per_step if e.sync_batchnorm else per_step // processes
    whose = "of all processes" if e.sync_batchnorm and processes > 1 else "of one process"
    return {
        "batch_size": e.batch_size,
        "processes": processes,
        "nodes": nodes,
        "accumulate": e.accumulate,
        "batch_norm_sees": f"{seen} samples" + (f" {whose}" if processes > 1 else "") + " at a time, all steps",
        "learning_rate_is": f"lr={e.lr:g} is for the whole batch of {e.batch_size}, whatever the number of processes",
    }


def find_world(experiment: Experiment) -> World | None:
    """This process's place, from what a launcher has put into the environment; None if none has.

    Raises:
        ValueError: the experiment asks for other numbers than the launcher started, or srun did not say enough.
    """
    environment = _environment()
    if environment is None or environment.world_size() == 1:
        return None
    processes = environment.world_size()
    nodes = _nodes(environment, experiment)
    asked = ((experiment.devices, processes // nodes, "devices"), (experiment.nodes, nodes, "nodes"))
    for wanted, there, name in asked:
        if wanted is not None and wanted != there:
            raise ValueError(
                f"{name}={wanted} was asked for, but {type(environment).__name__.removesuffix('Environment')} started "
                f"{processes} processes on {nodes} machines, {processes // nodes} on each. Leave out --{name}."
            )
    return World(environment.global_rank(), processes, environment.local_rank(), nodes, environment)


def _environment() -> ClusterEnvironment | None:
    variables = os.environ
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= variables.keys():  # torchrun's, and those of our own launcher
        return TorchElasticEnvironment() if "LOCAL_RANK" in variables else KubeflowEnvironment()
    # a step of one task, or a batch script that has asked for many but not started them, is a plain process
    if int(variables.get("SLURM_STEP_NUM_TASKS") or 1) > 1 and "SLURM_PROCID" in variables:
        if "SLURM_NTASKS_PER_NODE" not in variables:
            raise ValueError("srun must be told how many processes each machine has: use --ntasks-per-node=N.")
        return SLURMEnvironment(auto_requeue=False)
    for kind in (LSFEnvironment, MPIEnvironment):
        if kind.detect():
            return kind()
    return None


def _nodes(environment: ClusterEnvironment, experiment: Experiment) -> int:
    variables = os.environ
    if isinstance(environment, KubeflowEnvironment):
        return environment.world_size()
    if isinstance(environment, SLURMEnvironment):
        return int(variables.get("SLURM_STEP_NUM_NODES") or variables.get("SLURM_NNODES") or 1)
    if "LOCAL_WORLD_SIZE" in variables:
        return environment.world_size() // int(variables["LOCAL_WORLD_SIZE"])
    return experiment.nodes or 1


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[None]:
    """Until left, the processes of a run can talk to each other. Whoever loses the others raises ProcessLostError."""
    environment = world.environment
    if environment is None:
        yield
        return
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    try:
        distributed.init_process_group(backend, rank=world.rank, world_size=world.processes, timeout=PATIENCE)
        yield
    except (RuntimeError, distributed.DistError) as error:
        if not _is_lost(error):
            raise
        raise ProcessLostError(
            f"Process {world.rank} of {world.processes} has lost another one ({str(error).splitlines()[0]}). What it "
            "said is in its own output. --resume goes on from the last whole epoch."
        ) from error
    finally:
        leave()


def leave() -> None:
    """Stop talking to the others; from here on this process is alone."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _is_lost(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, distributed.DistError) or "gloo" in text or "connection" in text
