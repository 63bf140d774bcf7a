"""saccade --print-completion SHELL: the words that complete a command line, as a script of that shell."""

from __future__ import annotations

import argparse
import importlib
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

from saccade.cli import VERBS
from saccade.cli.help import HelpWanted, Page
from saccade.errors import require, unknown_name

SHELLS = ("bash", "zsh", "tcsh")


def completion(shell: str) -> str:
    """The script: verbs, their options, and the names and files that these take.

    Raises:
        ValueError: another shell than `SHELLS`.
        MissingExtraError: shtab is not installed.
    """
    if shell not in SHELLS:
        raise unknown_name("shell", shell, SHELLS)
    shtab = require("shtab", "train")
    parser = argparse.ArgumentParser("saccade")
    verbs = parser.add_subparsers()
    for verb, (place, text) in VERBS.items():
        module_name, _, function = place.partition(":")
        module = importlib.import_module(module_name)
        if hasattr(module, "VERBS"):  # those behind `saccade data`
            inner = verbs.add_parser(verb, help=text).add_subparsers()
            for name, (run, said) in module.VERBS.items():
                _add(inner, name, _page(run), said, shtab.FILE)
        else:
            _add(verbs, verb, _page(getattr(module, function)), text, shtab.FILE)
    return str(shtab.complete(parser, shell))


def _page(run: Callable[[Sequence[str]], int]) -> Page:
    """The help of a verb, which it knows alone."""
    try:
        with redirect_stdout(io.StringIO()):
            run(["--help"])
    except HelpWanted as wanted:
        return wanted.page
    raise AssertionError("a verb parses its arguments with saccade.cli.arguments.parse")


def _add(verbs: Any, verb: str, page: Page, text: str, files: Any) -> None:
    parser = page.parser()
    for action in parser._actions:
        option: Any = getattr(action, "option", None)
        if option is None or option.kind.is_flag:
            continue
        action.choices = option.completes() or None
        if action.choices is None and (option.is_positional or "PATH" in option.kind.metavar):
            action.complete = files  # type: ignore[attr-defined]
    verbs.add_parser(verb, help=text, parents=[parser], add_help=False)
