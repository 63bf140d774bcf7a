"""The demo in a headless Chromium: its size, the time to the first prediction, and that of each further one.

    python benchmarks/demo.py [--loads N]
    python benchmarks/demo.py --table [--check]    # write the table of docs/demo.md

A prediction is that of all networks of the page. The page is served from this machine and loaded without a cache; each
load is followed by all samples of the page, one after the other. Writes results/demo.json. Needs chromium, chromedriver
and selenium.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import timing
from saccade.cli.demo import server
from saccade.demo import write_demo
from saccade.errors import require

RESULT = ROOT / "benchmarks" / "results" / "demo.json"
PAGE = "docs/demo.md"
ANSWERED = "performance.getEntriesByName('answered')"
#: milliseconds from a click on a sample to the answers of all networks
CLICK = f"""
    const done = arguments[1], before = {ANSWERED}.length, started = performance.now();
    document.querySelectorAll('#samples button')[arguments[0]].click();
    (function wait() {{
        const marks = {ANSWERED};
        if (marks.length > before) done(marks[before].startTime - started); else setTimeout(wait, 1);
    }})();
"""


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of all files, and of each one compressed by gzip where that makes it smaller."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {
        "bytes": sum(map(len, contents)),
        "bytes_compressed": sum(min(len(content), len(gzip.compress(content, 9))) for content in contents),
    }


def browser() -> Any:
    webdriver = require("selenium.webdriver", "dev")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def measure(loads: int) -> dict[str, Any]:
    """Sizes and times, in ms."""
    first, further = [], []
    with TemporaryDirectory() as name:
        write_demo(Path(name))
        with server(Path(name), 0) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            chrome = browser()
            try:
                chrome.execute_cdp_cmd("Network.enable", {})
                chrome.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
                for _ in range(loads):
                    chrome.get(f"http://127.0.0.1:{running.server_port}/")
                    first.append(answered(chrome))
                    samples = chrome.execute_script("return document.querySelectorAll('#samples button').length")
                    further += [chrome.execute_async_script(CLICK, i) for i in range(samples)]
                version = chrome.capabilities["browserVersion"]
            finally:
                chrome.quit()
                running.shutdown()
        return {"chromium": version, "loads": loads, **sizes(Path(name)), "first": first, "further": further}


def answered(chrome: Any) -> float:
    """Milliseconds from the start of loading to the first prediction."""
    chrome.set_script_timeout(120)
    wait = f"const done = arguments[0]; (function wait() {{ const marks = {ANSWERED}; "
    wait += "if (marks.length) done(marks[0].startTime); else setTimeout(wait, 5); })();"
    return float(chrome.execute_async_script(wait))


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f}; largest {max(values):.0f})"


def generated(result: dict[str, Any]) -> str:
    rows = [
        ("", "median (quartiles)"),
        ("size of all files", f"{result['bytes'] / 1e6:.2f} MB, compressed {result['bytes_compressed'] / 1e6:.2f} MB"),
        ("first prediction after the start of loading", quartiles(result["first"])),
        ("each further prediction", quartiles(result["further"])),
    ]
    counts = f"{result['loads']} loads, {len(result['further'])} further predictions of all networks"
    return f"{table(rows)}\n\n{counts}. Chromium {result['chromium']}. Measured on {measured_on(result)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=9)
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if not arguments.table:
        result = {**timing.environment(torch.device("cpu")), **measure(arguments.loads)}
        write_text(arguments.result, json.dumps(result, indent=1) + "\n")
        print(generated(result))
        return
    rewrite(PAGE, "demo.py", {"demo": generated(json.loads(arguments.result.read_text()))}, arguments.check)


if __name__ == "__main__":
    main()
