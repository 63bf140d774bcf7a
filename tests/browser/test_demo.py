"""The demo in a headless Chromium: it answers, every control works, and it asks for nothing elsewhere."""

from __future__ import annotations

import threading
import time

import pytest

from conftest import requests
from saccade.cli.demo import server
from saccade.demo import write_demo

pytestmark = pytest.mark.slow
PATIENCE = 120


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert total < 8e6, f"{total / 1e6:.1f} MB"
    with server(folder, 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def wait(chromium, script: str):
    """What a script returns, once it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = chromium.execute_script(script)
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{script}: {chromium.execute_script('return document.body.innerText')}")


def status(chromium) -> str:
    return chromium.execute_script("return document.getElementById('status').textContent")


def open_page(chromium, address: str, width: int = 1280, theme: str = "light"):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    chromium.get_log("browser")
    chromium.get(address)
    wait(chromium, "return document.querySelectorAll('article').length === 3")
    return chromium


def test_it_answers_and_every_control_works(chromium, requested, address):
    open_page(chromium, address)
    assert "sample of class 3" in status(chromium)
    assert "DTA: 3" in status(chromium)
    samples = chromium.find_elements("css selector", "#samples button")
    assert len(samples) == 20
    samples[0].click()
    wait(chromium, "return document.getElementById('status').textContent.includes('sample of class 0')")
    chromium.execute_script(
        "const s = document.getElementById('steps'); s.value = 2; s.dispatchEvent(new Event('input'))"
    )
    assert status(chromium).startswith("After 2 of 5 steps")
    assert chromium.execute_script("return document.querySelectorAll('#events .later').length") == 3
    chromium.find_element("id", "show-0").click()
    wait(chromium, "return document.querySelectorAll('article').length === 2")
    chromium.find_element("id", "show-0").click()
    wait(chromium, "return document.querySelectorAll('article').length === 3")
    chromium.find_element("id", "show-2").click()
    wait(chromium, "return document.querySelectorAll('article').length === 4")
    titles = [title.text for title in chromium.find_elements("css selector", "article h3")]
    assert titles == ["No attention", "TCJA", "TCJA, gates off", "DTA"]
    assert len(chromium.find_elements("css selector", "article:nth-of-type(3) figure")) < len(
        chromium.find_elements("css selector", "article:nth-of-type(2) figure")
    )  # a gate that is switched off is not drawn
    chromium.find_element("id", "show-2").click()
    wait(chromium, "return document.querySelectorAll('article').length === 3")
    chromium.find_element("id", "play").click()
    wait(chromium, "return document.getElementById('status').textContent.startsWith('After 5 of 5')")
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = {url for url in requests(chromium) if not url.startswith(("data:", "blob:", address))}
    assert asked == set()


def test_a_one_is_drawn_with_the_mouse_and_with_keys(chromium, address):
    from selenium.webdriver import ActionChains, Keys

    open_page(chromium, address)
    canvas = chromium.find_element("id", "draw")
    stroke = ActionChains(chromium, duration=20).move_to_element_with_offset(canvas, 0, -70).click_and_hold()
    for _ in range(7):
        stroke.move_by_offset(0, 20)
    stroke.release().perform()
    wait(chromium, "return document.getElementById('status').textContent.includes('your drawing')")
    assert "DTA: 1" in status(chromium)
    chromium.find_element("id", "clear").click()
    canvas.send_keys(" ", *[Keys.SHIFT + Keys.ARROW_DOWN] * 2)
    ink = "const c = document.getElementById('draw'); const d = c.getContext('2d')"
    drawn = chromium.execute_script(
        f"{ink}.getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i] > 200 && d[i + 2] > 200; return n"
    )
    assert drawn > 200


def test_the_webcam_is_an_event_camera_until_it_is_switched_off(chromium, address):
    open_page(chromium, address)
    button = chromium.find_element("id", "webcam")
    button.click()
    wait(chromium, "return document.getElementById('status').textContent.includes('of the webcam')")
    assert button.get_attribute("aria-pressed") == "true"
    events = "return [...document.querySelectorAll('#events canvas')].map(c => c.getAttribute('aria-label'))"
    wait(chromium, f"{events.replace('return', 'return !')}.every(label => label.endsWith(': 0'))")  # something moves
    assert len(chromium.execute_script(events)) == 5
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert chromium.execute_script("return document.getElementById('video').srcObject.active") is False
    samples = chromium.find_elements("css selector", "#samples button")
    samples[4].click()
    wait(chromium, "return document.getElementById('status').textContent.includes('sample of class 2')")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_it(chromium, axe, address, width, theme):
    open_page(chromium, address, width, theme)
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    chromium.execute_script(axe)
    found = chromium.execute_async_script("axe.run().then(r => arguments[arguments.length - 1](r.violations))")
    assert [(f["id"], [node["html"][:200] for node in f["nodes"]]) for f in found] == []
