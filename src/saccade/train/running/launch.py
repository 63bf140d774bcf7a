"""`--devices N` without a launcher: the processes of a run on this machine, started, watched and stopped together.

Each is `python -m saccade.train.running.launch JOB`, a file that says what to train where, and is told its place by
variables that torchrun sets too. When one dies, the others are stopped; when whoever started them dies, the end of
their standard input tells them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from saccade.plugins import run_recorded
from saccade.train.config import Experiment, from_dict
from saccade.train.running.processes import ProcessLostError

#: where a process writes its last words
ERROR_FILE = "SACCADE_ERROR_FILE"
#: exit code of a process that has written there
EXPLAINED = 2
#: how long a process may take to stop when it is asked to
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.1


def launch(experiment: Experiment, folder: Path, resume: bool, paper: Mapping[str, Any] | None) -> None:
    """What `saccade.train.run.train` does, in several processes on this machine; returns when the run is done.

    Several machines: the same is called on each, with MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment.

    Raises:
        ProcessLostError: one of them died.
        ValueError: what one of them said was wrong.
        KeyboardInterrupt: it was stopped.
    """
    devices, nodes = experiment.devices or 1, experiment.nodes or 1
    with tempfile.TemporaryDirectory(prefix="saccade-") as scratch:
        job = Path(scratch) / "job.json"
        order = {"experiment": asdict(experiment), "run_dir": str(folder), "resume": resume, "paper": paper}
        job.write_text(json.dumps(order), encoding="utf-8")
        errors = [Path(scratch) / str(local) for local in range(devices)]
        places = _places(devices, nodes)
        with _stopping(processes := [_start(job, place, error) for place, error in zip(places, errors, strict=True)]):
            codes = _watch(processes)
        _explain(codes, errors, folder, int(places[0]["RANK"]))


def _places(devices: int, nodes: int) -> list[dict[str, str]]:
    """The variables that tell every process who it is."""
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        if nodes > 1 and name not in os.environ:
            raise ValueError(
                f"nodes={nodes} needs {name} in the environment of every machine: MASTER_ADDR and MASTER_PORT, an "
                "address and a free port of the first machine, and NODE_RANK from 0. Or start it with torchrun or srun."
            )
    node = int(os.environ["NODE_RANK"]) if nodes > 1 else 0
    port = os.environ["MASTER_PORT"] if nodes > 1 else str(_free_port())
    address = os.environ["MASTER_ADDR"] if nodes > 1 else "127.0.0.1"
    common = {"MASTER_ADDR": address, "MASTER_PORT": port, "WORLD_SIZE": str(devices * nodes)}
    common |= {"LOCAL_WORLD_SIZE": str(devices), "GROUP_RANK": str(node)}
    return [{**common, "LOCAL_RANK": str(i), "RANK": str(node * devices + i)} for i in range(devices)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _start(job: Path, place: dict[str, str], error: Path) -> subprocess.Popen[bytes]:
    threads = max(1, (os.cpu_count() or 1) // int(place["LOCAL_WORLD_SIZE"]))
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **place, ERROR_FILE: str(error)}
    return subprocess.Popen(
        [sys.executable, "-m", "saccade.train.running.launch", str(job)],
        stdin=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C comes here alone, and is passed on
    )


def _watch(processes: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Wait until all are done or one has failed; the exit codes, None for those that run."""
    while True:
        codes = [process.poll() for process in processes]
        if all(code == 0 for code in codes) or any(codes):
            return codes
        time.sleep(POLL_SECONDS)


def _explain(codes: Sequence[int | None], errors: Sequence[Path], folder: Path, first: int) -> None:
    """Raise what went wrong first: a process that was killed, else the words of one that did more than lose others."""
    if not any(codes):
        return
    killed = [i for i, code in enumerate(codes) if code is not None and code < 0]
    words = [error.read_text(encoding="utf-8") for error in errors if error.is_file()]
    own = [text for text in words if not text.startswith(ProcessLostError.__name__)]
    if own and not killed:
        raise ValueError(own[0])
    name = f"signal {-(codes[killed[0]] or 0)}" if killed else f"exit code {next(filter(None, codes))}"
    who = first + (killed[0] if killed else next(i for i, code in enumerate(codes) if code))
    raise ProcessLostError(
        f"Process {who} of the run in {folder} died ({name}), so the others were stopped. --resume goes on from the "
        "last whole epoch, with any number of processes."
    )


@contextmanager
def _stopping(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Whatever ends this ends the processes; SIGTERM as Ctrl-C does."""
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: Any) -> None:
        if callable(before):
            before(number, frame)  # the command line's own: it keeps which signal it was
        raise KeyboardInterrupt

    on_main = threading.current_thread() is threading.main_thread()
    if on_main:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if on_main:
            signal.signal(signal.SIGTERM, before)
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _leave_with_parent() -> None:
    """Stop this process when whoever started it is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)  # it waits for the others inside of a library

    threading.Thread(target=wait, daemon=True).start()


def main(job: Path) -> int:
    """One process of a run; returns its exit code."""
    from saccade.train.run import train

    _leave_with_parent()
    order = json.loads(job.read_text(encoding="utf-8"))
    experiment = from_dict(order["experiment"])
    try:
        if experiment.code is not None:
            run_recorded(experiment.code, experiment.code_sha256 or "", order["run_dir"])
        train(experiment, order["run_dir"], order["resume"], order["paper"])
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        kind = ProcessLostError.__name__ if isinstance(error, ProcessLostError) else ""
        Path(os.environ[ERROR_FILE]).write_text(f"{kind}{error}", encoding="utf-8")
        return EXPLAINED
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
