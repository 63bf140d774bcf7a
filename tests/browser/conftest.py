"""A headless Chromium, and axe-core, the accessibility checker that is run inside it; without them tests skip."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

#: a camera that shows a moving picture, and nobody is asked whether it may be used
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
AXE_IN_MODULES = Path("node_modules", "axe-core", "axe.min.js")


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core: of the file that SACCADE_AXE names, else of node_modules."""
    path = Path(os.environ.get("SACCADE_AXE", AXE_IN_MODULES))
    if not path.is_file():
        pytest.skip(f"needs axe-core: there is no {path}; run npm install axe-core, or let SACCADE_AXE name axe.min.js")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chromium():
    """A driver that keeps the console's and the network's logs."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install 'saccade[dev]'")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *FAKE_CAMERA):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def show(chromium):
    """Opens a file in a window of so many pixels and in a theme, with its details unfolded."""

    def open_page(path: Path, width: int = 1280, theme: str = "light"):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        chromium.get(path.resolve().as_uri())
        chromium.execute_script("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        return chromium

    return open_page


def requests(chromium) -> set[str]:
    """The addresses that were asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in chromium.get_log("performance"))
    return {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}


@pytest.fixture
def requested(chromium):
    """See `requests`; starts from nothing."""
    chromium.get("about:blank")
    requests(chromium)
    return lambda: requests(chromium)
