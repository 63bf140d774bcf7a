"""saccade demo: the networks for digits in a page, in the browser."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from saccade.cli.arguments import parse


@dataclass(kw_only=True)
class DemoArguments:
    """Where the page goes."""

    out: Path | None = None
    """Folder to write the page to, for any web server; default: it is served here, until Ctrl-C."""
    port: int = 8000
    """Port on this machine; 0: any that is free."""


def main(words: Sequence[str]) -> int:
    """Write the page, or serve it."""
    text = "Draw a digit, see it as events, and watch three networks attend to it. The page needs no network."
    arguments = parse(DemoArguments, words, "saccade demo", text=text)

    from saccade.demo import write_demo

    if arguments.out is not None:
        write_demo(arguments.out)
        total = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
        print(f"{arguments.out}: {total / 1e6:.1f} MB. Serve it with any web server, e.g.: ", end="")
        print(f"python -m http.server --directory {arguments.out}")
        return 0
    with TemporaryDirectory() as folder:
        write_demo(Path(folder))
        with server(Path(folder), arguments.port) as running:
            print(f"http://127.0.0.1:{running.server_port} (Ctrl-C ends it)", flush=True)
            running.serve_forever()
    return 0


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012  as its base class has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".onnx": "application/octet-stream",
    }

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the page says what it does."""


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A web server of a folder, for this machine alone; the caller runs and closes it."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Quiet, directory=str(folder)))
