"""The command line: finds the verb, runs it, and turns the user's mistakes into sentences.

A verb is a function `main(arguments) -> exit code` in a file of its own, named in `VERBS`. Nothing heavy is imported
before a verb has parsed its arguments: help and mistakes are answered at once.
"""

from __future__ import annotations

import errno
import importlib
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import saccade
from saccade.cli.signals import told_to_stop
from saccade.errors import MissingExtraError, require, unknown_name

#: verb -> ("module:function", one line of help)
VERBS: dict[str, tuple[str, str]] = {
    "train": ("saccade.cli.train:main", "train a network by recipe, or go on with a run that was stopped"),
    "speedrun": ("saccade.cli.speedrun:main", "train to a target accuracy against the clock, several times"),
    "ablate": ("saccade.cli.ablate:main", "compare variants of a recipe over seeds, as one table"),
    "eval": ("saccade.cli.evaluate:main", "score the weights of a run on the whole test set"),
    "generate": ("saccade.cli.generate:main", "draw samples, reconstructions and interpolations with a trained VAE"),
    "cam": ("saccade.cli.cam:main", "draw Grad-CAM step by step, and test whether what it shows matters"),
    "gates": ("saccade.cli.gates:main", "show the gates, and how far they are from doing nothing"),
    "energy": ("saccade.cli.energy:main", "count operations and energy from real spikes; firing rates"),
    "report": ("saccade.cli.report:main", "make one page about a run, several, or an ablation"),
    "export": ("saccade.cli.export:main", "write a network as ONNX or NIR, for other programs and hardware"),
    "push": ("saccade.cli.push:main", "put a run's weights on the Hugging Face hub, with a model card"),
    "demo": ("saccade.cli.demo:main", "show networks at work in the browser, on digits that you draw"),
    "check": ("saccade.cli.check:main", "look whether every file of a run or an ablation is whole"),
    "bench": ("saccade.cli.bench:main", "measure kernels, modules and networks on this machine"),
    "recipes": ("saccade.cli.recipes:main", "list the recipes, or say what one of them is"),
    "data": ("saccade.cli.data:main", "list the data sets; prepare, check or show recordings"),
    "doctor": ("saccade.cli.doctor:main", "show versions, devices, kernels and the data sets that are found"),
}

#: heading of the help -> verbs; those in no group come last
GROUPS = {
    "learn": ("train", "eval", "ablate", "generate", "speedrun"),
    "look inside": ("cam", "gates", "energy", "report"),
    "take along": ("export", "push", "demo"),
    "around": ("recipes", "data", "check", "bench", "doctor"),
}

_USER_ERRORS = (ValueError, FileNotFoundError, MissingExtraError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK_ERRORS = (*_FULL, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG)

_NO_MEMORY = ("can't allocate memory", "CUDA out of memory")
#: the number of SIGHUP
HANGUP = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: that of the process); returns the exit code.

    0: done. 1: not all is well, as the command says. 2: a mistake, or a disk or memory that is full. 130, 143, 129:
    stopped by Ctrl-C, SIGTERM, or with its terminal.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with told_to_stop() as told:
        try:
            return _run(words)
        except KeyboardInterrupt as stopped:
            _say(str(stopped) or str(told))
            return told.exit_code
        except BrokenPipeError:
            return 1  # whoever read the output, e.g. `head`, has gone
        except (*_USER_ERRORS, OSError, MemoryError, RuntimeError) as error:
            if is_lost_terminal(error):
                return 128 + HANGUP
            if not is_users(error):
                raise
            _say(f"saccade: {out_of_memory(error) or disk_refused(error) or error}")
            return 2


def _say(sentence: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(sentence, file=sys.stderr)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    verb, *rest = words
    if verb in ("-V", "--version"):
        print(f"saccade {saccade.__version__}")
        return 0
    if verb == "--print-completion":
        require("tyro", "train")

        from saccade.cli.completion import completion

        print(completion(rest[0] if rest else "bash"))
        return 0
    if verb not in VERBS:
        raise unknown_name("command", verb, VERBS)
    require("tyro", "train")  # what parses the arguments of every verb
    module, _, function = VERBS[verb][0].partition(":")
    return getattr(importlib.import_module(module), function)(rest)


def help_text() -> str:
    """What `saccade --help` prints."""
    grouped = [verb for verbs in GROUPS.values() for verb in verbs]
    groups = {**GROUPS, "more": tuple(verb for verb in VERBS if verb not in grouped)}
    width = max(map(len, VERBS))
    lines = ["usage: saccade COMMAND [ARGUMENTS]", "", "Temporal-channel attention for spiking neural networks.", ""]
    for heading, verbs in groups.items():
        rows = [f"  {verb:{width}}  {VERBS[verb][1]}" for verb in verbs if verb in VERBS]
        if rows:
            lines += [f"{heading}:", *rows, ""]
    return "\n".join(
        [
            *lines,
            "What one of them does: saccade COMMAND --help. Completion in the shell:",
            "saccade --print-completion bash, zsh or tcsh. Version: saccade --version.",
        ]
    )


def is_users(error: BaseException) -> bool:
    """Whether an error is the user's to mend, so that its sentence is enough: raised by our own code, or by the disk.

    A ValueError from inside a library is a bug of ours, and keeps its traceback.
    """
    if out_of_memory(error) is not None:
        return True
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return True
    return isinstance(error, _USER_ERRORS) and _origin(error.__traceback__).partition(".")[0] == "saccade"


def is_lost_terminal(error: BaseException) -> bool:
    """Whether it is what writing to a terminal raises that has been closed."""
    return isinstance(error, OSError) and error.errno == errno.EIO and error.filename is None


def disk_refused(error: BaseException) -> str | None:
    """A sentence for what the disk does not take; None for all other errors."""
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS or error.filename is None:
        return None
    again = " Make room, and give the same command again; a run that was begun goes on with --resume."
    return f"{error.filename} cannot be used: {error.strerror}.{again if error.errno in _FULL else ''}"


def out_of_memory(error: BaseException) -> str | None:
    """A sentence for memory that could not be had, from Python, numpy or torch; None for all other errors."""
    text = str(error)
    # torch has a type for this on a GPU alone
    if not isinstance(error, MemoryError) and not any(words in text for words in _NO_MEMORY):
        return None
    found = re.search(r"(?:allocate|Unable to allocate) ([\d.,]+ ?\w*)", text)
    asked = f" ({found[1].strip()} at once)" if found else ""
    return f"There is not enough memory{asked}. Use a smaller --batch-size, --steps, --width or --image-size."


def _origin(trace: TracebackType | None) -> str:
    """The module whose code raised."""
    module = ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    return module
