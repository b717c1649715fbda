"""The page of `stackgrad-mnist serve` in a headless browser, and simulated handwriting."""

import contextlib
import io
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of a run on a third of the training images."""
    from stackgrad.mnist.cli import main

    folder = tmp_path_factory.mktemp("browser") / "run"
    arguments = ["train", "--limit", "20000", "--epochs", "2", "--backend", "cpu", "--out", str(folder)]
    with contextlib.redirect_stdout(io.StringIO()):
        main(arguments, standalone_mode=False)
    return folder


@pytest.fixture(scope="session")
def url(run):
    """The address of `stackgrad-mnist serve`, run in its own process."""
    code = "from stackgrad.mnist.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(run), "--port", "0", "--backend", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        process.stdout.readline()
        yield process.stdout.readline().split()[0]
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright  # imported here, since tests are skipped without it

    expect.set_options(timeout=60_000)  # milliseconds, enough for a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, url):
    """Open the page, ready to draw on, in a window of a given size, with options for the browser's context.

    At the end, checks that the page fetched nothing from other servers, and had no errors except `page.expected`.
    """
    with contextlib.ExitStack() as closing:
        pages = []

        def open_page(size="desktop", **options):
            context = browser.new_context(viewport=SIZES[size], **options)
            closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.fetched, page.errors, page.expected = [], [], ()
            page.on("request", lambda request: page.fetched.append(request.url))
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.on("console", lambda line: page.errors.append(line.text) if line.type != "log" else None)
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            pages.append(page)
            return page

        yield open_page
        for page in pages:
            assert [address for address in page.fetched if not address.startswith(url)] == []
            assert [error for error in page.errors if not any(part in error for part in page.expected)] == []


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def draw():
    """Draw strokes on the page with the mouse."""

    def draw(page, strokes, release=True):
        box = page.locator("#page").bounding_box()
        for stroke in strokes:
            points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point)
            if release:
                page.mouse.up()

    return draw


# The strokes of each digit, as points x and y from 0 to 100 in a box of its own.
DIGITS = {
    0: [[(52, 4), (28, 14), (18, 45), (24, 80), (48, 96), (74, 82), (82, 48), (74, 15), (50, 4)]],
    1: [[(34, 24), (54, 5), (53, 50), (52, 96)]],
    2: [[(22, 26), (36, 7), (62, 6), (74, 26), (62, 50), (40, 72), (20, 92), (48, 90), (82, 92)]],
    3: [[(24, 14), (50, 4), (72, 18), (64, 38), (44, 46), (68, 54), (78, 74), (58, 94), (24, 88)]],
    4: [[(52, 5), (36, 34), (20, 62), (50, 62), (84, 61)], [(62, 36), (61, 66), (60, 97)]],
    5: [[(34, 8), (31, 28), (28, 46), (52, 40), (74, 54), (72, 82), (48, 96), (22, 88)], [(34, 8), (56, 7), (78, 6)]],
    6: [[(64, 5), (40, 24), (24, 54), (26, 82), (48, 96), (70, 84), (68, 62), (46, 54), (27, 70)]],
    7: [[(18, 10), (48, 8), (80, 9), (64, 38), (50, 66), (42, 97)]],
    8: [[(68, 18), (48, 5), (28, 18), (42, 42), (66, 58), (74, 80), (50, 96), (26, 82), (36, 58), (60, 42), (70, 20)]],
    9: [[(72, 24), (50, 6), (28, 20), (32, 44), (56, 48), (72, 26), (71, 60), (64, 96)]],
}


@pytest.fixture
def handwritten():
    """Write a digit with random slant, wobble and width: strokes of points (x, y), 0 to 1 across the page.

    handwritten(digit, seed, size, corner): `seed` varies the handwriting; `size` is the height, and `corner` the upper
    left corner, relative to the page.
    """

    def write(digit, seed=0, size=0.7, corner=(0.15, 0.15)):
        random = np.random.default_rng([digit, seed])
        width, slant, angle = random.uniform(0.75, 1.0), random.uniform(-0.05, 0.2), math.radians(random.uniform(-6, 6))
        written = []
        for stroke in DIGITS[digit]:
            line = curve(np.array(stroke, float) / 100 + random.normal(0, 0.012, (len(stroke), 2)))
            x, y = (line + wobble(random, len(line)) - 0.5).T
            x = x * width - slant * y
            x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
            written.append(np.clip((np.stack([x, y], 1) + 0.5) * size + corner, 0, 1).tolist())
        return written

    return write


def curve(points, between=7):
    """A smooth line through the points (Catmull and Rom, 1974)."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = np.linspace(0, 1, between, endpoint=False)[:, None]
    parts = [
        b + (c - a) * t / 2 + (2 * a - 5 * b + 4 * c - d) * t**2 / 2 + (3 * b - a - 3 * c + d) * t**3 / 2
        for a, b, c, d in zip(ends[:-3], ends[1:-2], ends[2:-1], ends[3:], strict=True)
    ]
    return np.concatenate([*parts, points[-1:]])


def wobble(random, length):
    """The noise of an unsteady hand."""
    noise = random.normal(0, 0.006, (length + 4, 2))
    return np.stack([np.convolve(axis, np.ones(5) / 3, "valid") for axis in noise.T], 1)
