"""The command line: finds the verb, runs it, and turns the user's mistakes into sentences.

A verb is a function `main(arguments) -> exit code` in a file of its own, named in `VERBS`. Nothing heavy is imported
before a verb has parsed its arguments: help and mistakes are answered at once.
"""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence
from types import TracebackType

import saccade
from saccade.errors import MissingExtraError, require, unknown_name

#: verb -> ("module:function", one line of help)
VERBS: dict[str, tuple[str, str]] = {
    "train": ("saccade.cli.train:main", "train a network by recipe, or go on with a run that was stopped"),
    "speedrun": ("saccade.cli.speedrun:main", "train to a target accuracy against the clock, several times"),
    "ablate": ("saccade.cli.ablate:main", "compare variants of a recipe over seeds, as one table"),
    "eval": ("saccade.cli.evaluate:main", "score the weights of a run on the whole test set"),
    "generate": ("saccade.cli.generate:main", "draw samples, reconstructions and interpolations with a trained VAE"),
    "cam": ("saccade.cli.cam:main", "draw Grad-CAM step by step, and test whether the highlighted pixels matter"),
    "gates": ("saccade.cli.gates:main", "show the gates of the attention, and how far they are from doing nothing"),
    "energy": ("saccade.cli.energy:main", "count operations from real spikes, estimate energy, measure firing rates"),
    "report": ("saccade.cli.report:main", "make one page about a run, or comparing several"),
    "export": ("saccade.cli.export:main", "write a trained network as ONNX, for other programs"),
    "bench": ("saccade.cli.bench:main", "measure kernels, modules and networks on this machine"),
    "recipes": ("saccade.cli.recipes:main", "list the recipes, or say what one of them is"),
    "data": ("saccade.cli.data:main", "list the data sets; prepare, check or show recordings of event cameras"),
    "doctor": ("saccade.cli.doctor:main", "show versions, devices, kernels and the data sets that are found"),
}

_USER_ERRORS = (ValueError, FileNotFoundError, MissingExtraError)
_DISK_ERRORS = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EPERM, errno.EDQUOT, errno.ENOTDIR, errno.ENAMETOOLONG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: that of the process); returns the exit code: 2 for mistakes, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except KeyboardInterrupt as stopped:
        print(str(stopped) or "Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1  # whoever read the output, e.g. `head`, has gone
    except (*_USER_ERRORS, OSError) as error:
        if not is_users(error):
            raise
        print(f"saccade: {error}", file=sys.stderr)
        return 2


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    verb, *rest = words
    if verb in ("-V", "--version"):
        print(f"saccade {saccade.__version__}")
        return 0
    if verb not in VERBS:
        raise unknown_name("command", verb, VERBS)
    require("tyro", "train")  # what parses the arguments of every verb
    module, _, function = VERBS[verb][0].partition(":")
    return getattr(importlib.import_module(module), function)(rest)


def help_text() -> str:
    """What `saccade --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:{width}}  {text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(
        [
            "usage: saccade COMMAND [ARGUMENTS]    saccade COMMAND --help    saccade --version",
            "",
            "Temporal-channel attention for spiking neural networks.",
            "",
            *lines,
        ]
    )


def is_users(error: BaseException) -> bool:
    """Whether an error is the user's to mend, so that its sentence is enough: raised by our own code, or by the disk.

    A ValueError from inside a library is a bug of ours, and keeps its traceback.
    """
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return True
    return isinstance(error, _USER_ERRORS) and _origin(error.__traceback__).partition(".")[0] == "saccade"


def _origin(trace: TracebackType | None) -> str:
    """The module whose code raised."""
    module = ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    return module
