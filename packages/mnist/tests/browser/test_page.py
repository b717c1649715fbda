import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="the page is tested by `nox -s tests-browser`")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

SEVEN = [[[0.2, 0.2], [0.8, 0.2], [0.45, 0.9]]]


def levels(page, tile):
    """The red levels, as a list, of one of the images that the page shows of the model's layers."""
    page.expected += ("willReadFrequently",)  # a hint for pages that read their own canvases, which this page does not
    script = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    return page.locator("#layers canvas").nth(tile).evaluate(script)[::4]


def percentages(page):
    """The percentages at the bars."""
    return [float(text.split()[0]) for text in page.locator("#bars .percent").all_inner_texts()]


# Drawing


@pytest.mark.parametrize("digit", range(10))
def test_drawn_digits_are_recognised(digit, page, draw, handwritten):
    draw(page, handwritten(digit))
    expect(page.locator("#digit")).to_have_text(str(digit))
    expect(page.locator("#bars .leads")).to_have_count(1)
    expect(page.locator("#bars .leads")).to_contain_text(f"{digit}")
    expect(page.locator("#sure")).to_have_text(re.compile(r"\d+\.\d % sure"))
    assert sum(percentages(page)) == pytest.approx(100, abs=0.6)


@pytest.mark.parametrize(("size", "corner"), [(0.2, (0.75, 0.02)), (0.3, (0.05, 0.65)), (1.0, (0, 0))])
def test_size_and_position_do_not_matter(size, corner, page, draw, handwritten):
    for digit in (2, 4, 7):
        draw(page, handwritten(digit, size=size, corner=corner))
        expect(page.locator("#digit")).to_have_text(str(digit))
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#digit")).to_have_text("–")


def test_the_answer_appears_during_drawing(page, draw, handwritten):
    (stroke,) = handwritten(2)
    draw(page, [stroke[: len(stroke) // 2]], release=False)
    expect(page.locator("#digit")).to_have_text(re.compile(r"\d"))
    first = page.locator("#sure").inner_text(), levels(page, 0), levels(page, 1), levels(page, 7)
    for x, y in stroke[len(stroke) // 2 :]:
        box = page.locator("#page").bounding_box()
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(page.locator("#digit")).to_have_text("2")
    assert len(page.fetched) > 10
    for before, after in zip(first[1:], (levels(page, tile) for tile in (0, 1, 7)), strict=True):
        assert before != after
        assert len(set(before)) > 5


def test_input_and_layers_are_shown(page, draw, handwritten):
    expect(page.get_by_role("img")).to_have_count(3)
    for name in ("Input, 28 × 28", "First layer, 6 channels, 28 × 28"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    expect(page.locator("#layers canvas")).to_have_count(1 + 6 + 16)
    assert set(levels(page, 0)) == {0}
    draw(page, handwritten(3))
    expect(page.locator("#digit")).to_have_text("3")
    seen = np.array(levels(page, 0)).reshape(28, 28)
    rows, columns = np.nonzero(seen)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert abs((seen.sum(1) @ np.arange(28)) / seen.sum() - 14) < 0.6


def test_undo_and_clear(page, draw, handwritten):
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    expect(undo).to_be_disabled()
    expect(clear).to_be_disabled()
    first, second = handwritten(4)
    draw(page, [first])
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    before = page.locator("#sure").inner_text()
    draw(page, [second])
    expect(page.locator("#digit")).to_have_text("4")
    undo.click()
    expect(page.locator("#sure")).to_have_text(before)
    undo.click()
    expect(page.locator("#digit")).to_have_text("–")
    expect(undo).to_be_disabled()
    expect(page.locator("#page")).to_be_focused()  # the disabled button does not keep the focus
    draw(page, [first, second])
    expect(page.locator("#digit")).to_have_text("4")
    clear.click()
    expect(page.locator("#digit")).to_have_text("–")
    assert percentages(page) == [0] * 10
    assert set(levels(page, 0)) == {0}


def test_a_finger_draws_and_does_not_scroll(open_page, handwritten):
    page = open_page("phone", has_touch=True, is_mobile=True, device_scale_factor=2)
    box = page.locator("#page").bounding_box()
    touch = page.context.new_cdp_session(page)
    for stroke in handwritten(5):
        for i, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            event = "touchMove" if i else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": event, "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#digit")).to_have_text("5")
    assert page.evaluate("scrollY") == 0


# Keyboard and screen reader


def press(page, keys, times=1):
    for _ in range(times):
        for key in keys:
            page.keyboard.down(key)
        for key in keys:
            page.keyboard.up(key)


def test_drawing_with_the_keyboard_only(page):
    page.keyboard.press("Tab")
    canvas = page.get_by_role("application", name="Page to draw on")
    expect(canvas).to_be_focused()
    assert canvas.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    pen = page.locator("#pen[role=status]")
    press(page, ["ArrowLeft"], 5)
    press(page, [" "])
    expect(pen).to_have_text("pen down")
    press(page, ["ArrowRight"], 10)
    press(page, ["ArrowDown", "ArrowLeft"], 4)
    press(page, ["ArrowDown"], 9)
    expect(page.locator("#digit")).to_have_text("7")
    press(page, ["Enter"])
    expect(pen).to_have_text("pen up")
    press(page, ["ArrowLeft"], 3)
    expect(page.locator("#digit")).to_have_text("7")  # a lifted pen draws nothing
    press(page, ["Backspace"])
    expect(page.locator("#digit")).to_have_text("–")
    press(page, [" "])
    press(page, ["ArrowDown"], 12)
    expect(page.locator("#digit")).to_have_text("1")
    press(page, ["Escape"])
    expect(page.locator("#digit")).to_have_text("–")


def test_the_keyboard_reaches_all_controls(page, draw):
    draw(page, SEVEN)
    expect(page.get_by_role("button", name="Clear")).to_be_enabled()
    for name in ("Undo", "Clear", "Example", "Picture…"):
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name=name)
        expect(button).to_be_focused()
        assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_screen_readers_announce_the_settled_answer(page, draw, handwritten):
    draw(page, handwritten(6))
    expect(page.locator("#digit")).to_have_text("6")
    expect(page.locator("#spoken[role=status]")).to_have_text(re.compile(r"6, \d+\.\d % sure"))
    expect(page.get_by_role("listitem")).to_have_count(10)
    expect(page.get_by_role("listitem").nth(6)).to_have_text(re.compile(r"6\s*\d+\.\d %"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_no_violations(size, scheme, open_page, draw, handwritten):
    page = open_page(size, color_scheme=scheme)
    for drawn in (False, True):
        if drawn:
            draw(page, handwritten(8))
            expect(page.locator("#digit")).to_have_text("8")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


# Pictures and examples


@pytest.mark.parametrize("name", ["nine.png", "nine.jpg"])
def test_a_picture(name, page, handwritten, tmp_path):
    photo = Image.new("RGB", (900, 1200), (236, 232, 220))
    for stroke in handwritten(9, size=0.5):
        for (x, y), (u, v) in pairwise(stroke):
            line = np.linspace((x, y), (u, v), 20) * 900 + (0, 150)
            for x, y in line:
                photo.paste((30, 40, 90), (int(x), int(y), int(x) + 28, int(y) + 28))
    photo.save(tmp_path / name)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Picture…").click()
    chooser.value.set_files(tmp_path / name)
    expect(page.locator("#digit")).to_have_text("9")
    expect(page.get_by_role("button", name="Clear")).to_be_enabled()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#digit")).to_have_text("–")


def test_a_file_that_is_not_a_picture(page, tmp_path):
    page.expected = ("422",)
    Path(tmp_path / "note.png").write_text("not an image")
    page.locator("#file").set_input_files(tmp_path / "note.png")
    reason = "not an image in a known format: expected PNG, JPEG, BMP, GIF or WebP"
    expect(page.get_by_role("alert")).to_have_text(reason)


def test_a_picture_that_is_too_large(page, tmp_path):
    Path(tmp_path / "large.png").write_bytes(bytes(20_000_001))
    page.locator("#file").set_input_files(tmp_path / "large.png")
    expect(page.get_by_role("alert")).to_have_text("large.png is too large: at most 20 MB are accepted")
    assert not any(address.endswith("/picture") for address in page.fetched)


def test_examples(page, draw):
    for _ in range(3):
        page.get_by_role("button", name="Example").click()
        expect(page.locator("#sure")).to_have_text(re.compile(r"\d % sure, (correct|but it is \d)"))
        assert max(levels(page, 0)) > 200
        expect(page.get_by_role("button", name="Clear")).to_be_enabled()
    draw(page, SEVEN)  # replaces the example
    expect(page.locator("#digit")).to_have_text("7")
    expect(page.locator("#sure")).to_have_text(re.compile(r"\d % sure$"))
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#digit")).to_have_text("–")


# The connection to the server


def hold_first_question(page):
    """A list that receives the page's first request for strokes, which is held until its `continue_()`."""
    held = []

    def hold(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/strokes", hold)
    return held


def test_a_late_answer_is_not_shown(page, draw):
    held = hold_first_question(page)
    draw(page, SEVEN)
    page.get_by_role("button", name="Clear").click()
    with page.expect_response("**/strokes"):
        held[0].continue_()
    page.wait_for_timeout(100)
    expect(page.locator("#digit")).to_have_text("–")


def test_the_newest_drawing_is_sent_next(page, draw, handwritten):
    held = hold_first_question(page)
    draw(page, handwritten(4))
    questions = [address for address in page.fetched if address.endswith("/strokes")]
    assert len(questions) == 1  # only one at a time, however many points are drawn
    held[0].continue_()
    expect(page.locator("#digit")).to_have_text("4")
    questions = [address for address in page.fetched if address.endswith("/strokes")]
    assert len(questions) == 2  # then the newest drawing, and none in between


def test_too_many_requests(page, draw):
    page.expected = ("429",)
    refused = []

    def refuse_once(route):
        if refused:
            return route.continue_()
        refused.append(route)
        return route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": "too many requests"})

    page.route("**/strokes", refuse_once)
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    assert refused


def test_the_server_is_gone(page, draw):
    page.expected = ("ERR_FAILED",)
    page.route("**/strokes", lambda route: route.abort())
    draw(page, SEVEN)
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. Is it still running?")
    page.unroute("**/strokes")
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    expect(page.get_by_role("alert")).to_be_empty()


# Widths


NOT_CUT_OFF = "element => element.scrollWidth <= element.clientWidth"


@pytest.mark.parametrize("width", [320, 360, 768, 1024, 1280, 1920])
def test_nothing_is_cut_off(width, page, draw):
    page.set_viewport_size({"width": width, "height": 740})
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for button in page.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 44
        assert button.evaluate(NOT_CUT_OFF)
    for percent in page.locator(".percent").all():
        assert percent.evaluate(NOT_CUT_OFF)


def test_a_phone_shows_the_answer_below_the_drawing(open_page, draw):
    page = open_page("phone", has_touch=True, is_mobile=True)
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    for part in ("#page", "#digit", "#bars"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
