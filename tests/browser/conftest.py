"""One server and one Chromium for all tests, a fresh context for each; console errors and external requests fail a
test."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 240_000  # ms for a translation, on a machine that is busy with other things


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def new_page(browser):
    """new_page(**context options): a page in a fresh context; any error on it fails the test."""
    contexts, wrong = [], []

    def make(**options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("response", lambda reply: wrong.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None)
        page.on(
            "request", lambda request: wrong.append(f"left the machine: {request.url}") if leaves(request) else None
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def leaves(request):
    url = urlsplit(request.url)
    return url.scheme not in ("data", "blob") and url.hostname != "127.0.0.1"


@pytest.fixture(scope="session")
def uploads(tmp_path_factory):
    """Where the server keeps uploads."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def address(uploads, tmp_path_factory):
    """The app, started as its README says, on coarse phantoms; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = {
        **os.environ,
        "GANLAB_HOST": "127.0.0.1",
        "GANLAB_PORT": str(port),
        "GANLAB_PHANTOM_MM": "4",
        "GRADIO_TEMP_DIR": str(uploads),
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    output = ""
    for line in server.stdout:  # ends when the server does
        output += line
        if re.search(r"Running on local URL", line):
            break
    assert server.poll() is None, output + log.read_text()
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.stdout.close()
    server.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()


class Viewer:
    """The Translate page, as a user sees it."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.canvas = page.locator(".gl-canvas")

    def open(self, query="/?tab=translate"):
        self.page.goto(self.address + query)
        self.page.wait_for_selector("#viewer .gl-viewer[data-state=ready]")
        return self

    @property
    def token(self):
        return self.page.get_attribute("#viewer .gl-viewer", "data-token")

    @property
    def status(self):
        """The viewer's status text, after the requested image is drawn."""
        return self.page.evaluate(
            """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>
                done(document.querySelector('#viewer [role=status]').textContent))))"""
        )

    def wait_for_status(self, words):
        self.page.wait_for_function(
            "words => document.querySelector('#viewer [role=status]').textContent.includes(words)", arg=words
        )

    def wait_for_result_after(self, token):
        self.page.wait_for_function(
            "token => document.querySelector('#viewer .gl-viewer').dataset.token !== token", arg=token, timeout=PATIENCE
        )
        self.page.wait_for_selector("#translate:not([disabled])")

    def crosshair(self):
        """RAS mm, from the ARIA status."""
        match = re.search(r"Crosshair at ([\d.]+) ([RL]) ([\d.]+) ([AP]) ([\d.]+) ([SI]) mm", self.status)
        numbers, sides = match.groups()[::2], match.groups()[1::2]
        return [float(n) * (1 if side in "RAS" else -1) for n, side in zip(numbers, sides, strict=True)]

    def pixels(self):
        """{colour: count} of the main pane, after the requested image is drawn."""
        return self.page.evaluate(
            """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
                const canvas = document.querySelector('.gl-canvas');
                const [w, h] = [Math.floor(canvas.width * 0.6), canvas.height];
                const data = canvas.getContext('2d').getImageData(0, 0, w, Math.floor(h * 0.66)).data;
                const counts = {};
                for (let i = 0; i < data.length; i += 4) {
                    const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
                    counts[colour] = (counts[colour] ?? 0) + 1;
                }
                done(counts);
            })))"""
        )

    def at(self, x, y):
        """Page position of a point of the canvas given as fractions of its width and height."""
        box = self.canvas.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, start, end, **buttons):
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down(**buttons)
        mouse.move(*self.at(*end), steps=4)
        mouse.up(**buttons)


@pytest.fixture
def new_viewer(new_page, address):
    """new_viewer(**context options): for another visitor, size, colour scheme or kind of pointer."""
    return lambda **options: Viewer(new_page(**options), address)


@pytest.fixture
def viewer(new_viewer):
    return new_viewer()
