"""The live page in a real browser: frames per second, click latency, ten simultaneous visitors, CPU time afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from ganlab.errors import InputError

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
VISITORS = 10
REPEATS = 15
DONE = 60_000  # ms; timeout of all browser waits

# Frames per second: the page counts drawn frames in data-frame.
COUNT = """
seconds => new Promise(done => {
  const root = document.querySelector('#toy .gl-toy'), start = Number(root.dataset.frame), at = performance.now();
  setTimeout(() => done((Number(root.dataset.frame) - start) / (performance.now() - at) * 1000), seconds * 1000);
})
"""
# Milliseconds from a click to the frame that shows its effect.
PRESS = """
() => new Promise(done => {
  const root = document.querySelector('#toy .gl-toy'), play = root.querySelector('.gl-play');
  const want = play.textContent === 'Play' ? 'Pause' : 'Play', at = performance.now();
  const seen = () => play.textContent === want ? requestAnimationFrame(() => done(performance.now() - at)) : requestAnimationFrame(seen);
  play.click();
  seen();
})
"""  # noqa: E501
SLIDE = """
step => new Promise(done => {
  const root = document.querySelector('#toy .gl-toy'), slider = root.querySelector('input[type=range]');
  const at = performance.now();
  slider.value = step;
  slider.dispatchEvent(new Event('input'));
  const seen = () => Number(root.dataset.at) <= step ? requestAnimationFrame(() => done(performance.now() - at)) : requestAnimationFrame(seen);
  seen();
})
"""  # noqa: E501


def benchmark_live(seconds: float = 4.0) -> dict:
    """Measures of the page in Chromium; the server runs in a separate process, on a free port.

    Raises InputError where playwright or Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise InputError("This benchmark drives a browser: pip install -r requirements-dev.txt.") from error
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise InputError("This benchmark needs Chromium on the path (Debian: apt install chromium).")
    with serving() as (process, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = open_page(browser, f"{address}/?tab=toy")
        start = time.perf_counter()
        page.click("#toy .gl-play")
        all_modes = "() => /8 of 8 modes/.test(document.querySelector('#toy [role=status]').textContent)"
        page.wait_for_function(all_modes, timeout=DONE)
        learned = time.perf_counter() - start
        result: dict = {"seconds_to_8_of_8_modes": learned, "frames_per_second": page.evaluate(COUNT, seconds)}
        result["press_ms"] = median(page.evaluate(PRESS) for _ in range(2 * REPEATS))
        page.click("#toy .gl-play")  # an even number of clicks leaves it playing
        steps = int(page.get_attribute("#toy input[type=range]", "max"))
        places = [steps * (k * 7 % REPEATS) // REPEATS for k in range(1, REPEATS + 1)]
        result["slider_ms"] = median(page.evaluate(SLIDE, place) for place in places)
        for name in ("D \N{MINUS SIGN} D*", "G's gradient", "Arrows", "Noise grid"):
            page.click(f'#toy button:has-text("{name}")')
        page.click("#toy .gl-play")
        result["frames_per_second_all_layers"] = page.evaluate(COUNT, seconds)
        page.close()
        pages = [open_page(browser, f"{address}/?tab=toy") for _ in range(VISITORS)]
        requests = [frame_request(page) for page in pages]
        # rendering here would compete with the server for CPU; real visitors render on their own machines
        for page in pages:
            page.context.new_cdp_session(page).send("Page.setWebLifecycleState", {"state": "frozen"})
        with ThreadPoolExecutor(VISITORS) as together:
            rates = list(together.map(lambda request: visit(*request, seconds), requests))
        result |= {"visitors": VISITORS, "visitors_slowest_fps": min(rates), "visitors_median_fps": median(rates)}
        for page in pages:
            page.close()
        result["server_cpu_after_closing"] = idle_share(process.pid)
        browser.close()
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in result.items()}


def open_page(browser, address: str):
    """Open the page as a new visitor, and wait until it is drawn."""
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector("#toy .gl-toy[data-frame]", timeout=DONE)
    return page


def frame_request(page) -> tuple[str, dict]:
    """URL and body of the page's own request for a frame."""
    with page.expect_request(lambda request: "ganlab/toy" in request.url) as request_info:
        page.click('#toy button:has-text("Step")')
    return request_info.value.url, request_info.value.post_data_json


def visit(url: str, body: dict, seconds: float) -> float:
    """Frames per second of a visitor on another machine: sends the page's requests, and draws nothing."""
    import httpx

    frames, start = -1, 0.0
    with httpx.Client(timeout=60) as client:
        request = {**body, "do": [["play"]], "layers": ["heat"], "static": False}
        while frames < 0 or time.perf_counter() - start < seconds:
            client.post(url, json=request).raise_for_status()
            request["do"] = []
            frames += 1
            start = start or time.perf_counter()
    return frames / (time.perf_counter() - start)


@contextlib.contextmanager
def serving() -> Iterator[tuple[subprocess.Popen, str]]:
    """The app as `python -m ganlab app` starts it: (process, address)."""
    environment = {**os.environ, "GANLAB_HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ganlab", "app"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in process.stdout:
            if found := re.search(r"Running on local URL:\s*(http\S+)", line):
                yield process, found[1]
                return
        raise InputError("The app did not start; run `python app.py` to see why.")
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(30)


def idle_share(pid: int, after: float = 5.0, over: float = 5.0) -> float | None:
    """CPU seconds per second that a process uses, from `after` seconds on, over `over` seconds; None without /proc."""
    times = Path(f"/proc/{pid}/stat")
    if not times.exists():
        return None

    def used() -> float:
        fields = times.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(after)
    start = used()
    time.sleep(over)
    return (used() - start) / over


def format_benchmark(result: dict) -> str:
    """Text with one line per measure."""
    return "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in result.items())
