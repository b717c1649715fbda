import io
import json
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from stackgrad import nn
from stackgrad.mnist import Dataset, make_model, normalise
from stackgrad.mnist.data.images import read_image
from stackgrad.mnist.data.strokes import read_strokes
from stackgrad.mnist.page import server
from stackgrad.mnist.page.limits import HEADERS, Guard
from stackgrad.mnist.page.server import MOST_PICTURE_BYTES, MOST_STROKES_BYTES, MOST_WAITING, make_app
from stackgrad.mnist.runs.folder import Run
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, set_default_backend

DIGITS = [str(i) for i in range(10)]
SEVEN = [[[0.2, 0.2], [0.8, 0.2], [0.45, 0.9]]]
JSON = {"Content-Type": "application/json"}
PNG = {"Content-Type": "image/png"}


def a_run(backend: str, seed: int = 0) -> Run:
    set_default_backend(backend)
    model = make_model("lenet5", generator=Generator(seed))
    model.eval()
    return Run(Path("run"), model, {"model": "lenet5", "test_accuracy": 0.5, "classes": 10})


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    yield a_run("numpy")
    set_default_backend(None)


@pytest.fixture(scope="module")
def app(run: Run, mnist: Dataset) -> Guard:
    return make_app(run, DIGITS, mnist.test)


@pytest.fixture(scope="module")
def client(app: Guard) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8000")


def picture(form: str, size: int = 120) -> bytes:
    page = Image.fromarray(np.pad(255 - read_strokes(SEVEN), 4, constant_values=255)).resize((size, size))
    buffer = io.BytesIO()
    page.save(buffer, form)
    return buffer.getvalue()


# Media types, and whether they are accepted.
JSON_TYPES = [
    *((one, True) for one in ("Application/JSON", "application/json; charset=utf-8", "application/json ;x=1;y")),
    *((one, False) for one in ("application/jsonx", "application/json-seq", "json", "text/json", "application/json x")),
]
PICTURE_TYPES = [
    *((one, True) for one in ("IMAGE/PNG", "image/png; q=1", "Image/Jpeg;a=b", "image/x-ms-bmp", "image/webp")),
    ("application/octet-stream", True),
    *((one, False) for one in ("image/pngx", "image/", "image", "image/*", "ximage/png", "image/png x", "image/tiff")),
    *((one, False) for one in ("text/plain; image/png", "image/png, text/plain", "multipart/form-data", "; image/png")),
]

# The page


WEB = Path(server.__file__).with_name("web")
TYPES = {".html": ["text/html"], ".css": ["text/css"], ".svg": ["image/svg+xml"]}
TYPES[".js"] = ["text/javascript", "application/javascript"]  # the types in Python 3.12 and 3.11


@pytest.mark.parametrize("name", ["", *sorted(path.name for path in WEB.iterdir())])
def test_files(name: str, client: TestClient) -> None:
    response = client.get(f"/{name}")
    file = WEB / (name or "index.html")
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] in TYPES[file.suffix]
    assert response.content == file.read_bytes()
    assert {key: response.headers.get(key) for key in HEADERS} == HEADERS
    assert client.head(f"/{name}").status_code == 200


def test_a_cached_file_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/app.js").headers["ETag"]
    response = client.get("/app.js", headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")
    assert {key: response.headers.get(key) for key in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "path", ["/server.py", "/../server.py", "/%2e%2e/server.py", "/web", "//etc/passwd", "/%00", "/\u00e4"]
)
def test_there_are_no_other_files(path: str, client: TestClient) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


def test_the_files_refer_to_no_others() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in WEB.iterdir())
    for name in re.findall(r'(?:src|href|from|import)[ =]*"(.+?)"', text):
        assert (WEB / name).is_file()
    assert re.findall(r"https?://\S+", text) == ['http://www.w3.org/2000/svg"']  # the namespace of SVG


def test_description_of_the_run(client: TestClient) -> None:
    assert client.get("/run").json() == {
        "model": "lenet5",
        "accuracy": 0.5,
        "labels": DIGITS,
        "layers": [[6, 28, 28], [16, 10, 10]],
        "examples": 10_000,
        "largest": MOST_PICTURE_BYTES,
    }


# Answers


def test_strokes(client: TestClient, run: Run) -> None:
    response = client.post("/strokes", json=SEVEN)
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"probabilities", "image", "layers"}
    np.testing.assert_array_equal(answer["probabilities"], probabilities(run.model, read_strokes(SEVEN)[None])[0])


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_pictures(form: str, client: TestClient, run: Run) -> None:
    content = picture(form)
    response = client.post("/picture", content=content, headers={"Content-Type": f"image/{form.lower()}"})
    assert response.status_code == 200
    expected = probabilities(run.model, read_image(content)[None])[0]
    np.testing.assert_array_equal(response.json()["probabilities"], expected)


@pytest.mark.parametrize(
    ("path", "content", "media_type", "accepted"),
    [
        *(("/strokes", json.dumps(SEVEN).encode(), *case) for case in JSON_TYPES),
        *(("/picture", picture("PNG"), *case) for case in PICTURE_TYPES),
    ],
)
def test_media_types(path: str, content: bytes, media_type: str, accepted: bool, client: TestClient) -> None:
    response = client.post(path, content=content, headers={"Content-Type": media_type})
    assert response.status_code == (200 if accepted else 415)


def test_examples(client: TestClient, run: Run, mnist: Dataset) -> None:
    for index in (0, 9999):
        answer = client.get(f"/examples/{index}").json()
        assert answer["label"] == mnist.test.labels[index]
        expected = probabilities(run.model, mnist.test.images[index][None])[0]
        np.testing.assert_array_equal(answer["probabilities"], expected)


def test_a_run_without_examples(run: Run) -> None:
    client = TestClient(make_app(run, DIGITS), base_url="http://127.0.0.1")
    assert client.get("/run").json()["examples"] == 0
    assert client.get("/examples/0").status_code == 404


# Errors


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "reason"),
    [
        ("/strokes", b"", JSON, 400, "not JSON: Expecting value: line 1 column 1 .*"),
        ("/strokes", b"\xff", JSON, 400, "not JSON: 'utf-8' codec can't decode byte 0xff in position 0.*"),
        ("/strokes", b"[" * 100_000, JSON, 400, "not JSON: .*recursion.*"),
        ("/strokes", b"[[[" + b"9" * 5000 + b",0]]]", JSON, 400, "not JSON: Exceeds the limit .*"),
        ("/strokes", b"[]", JSON, 422, "nothing is drawn: there is no stroke"),
        ("/strokes", b"[[[NaN, 0]]]", JSON, 422, r"a point is \[nan, 0\]: expected \[x, y\], two numbers from 0 to 1"),
        ("/strokes", b'[[["\\ud800"]]]', JSON, 422, r"a point is \['\\ud800'\]: expected .*"),
        ("/strokes", b"[]", {}, 415, "the Content-Type is '', expected application/json"),
        (
            "/picture",
            b"",
            {"Content-Type": "image/pngx"},
            415,
            "the Content-Type is 'image/pngx', expected image/png, .*",
        ),
        ("/strokes", b" " * (MOST_STROKES_BYTES + 1), JSON, 413, "too large: at most 500,000 bytes are accepted"),
        ("/picture", b"", PNG, 422, "not an image in a known format: expected PNG, JPEG, BMP, GIF or WebP"),
        ("/picture", picture("PNG")[:300], PNG, 422, "damaged image: .*"),
        ("/picture", picture("PNG"), {"Content-Type": "text/plain"}, 415, "the Content-Type is 'text/plain', .*"),
        ("/picture", b" " * (MOST_PICTURE_BYTES + 1), PNG, 413, "too large: at most 20,000,000 bytes are accepted"),
        ("/examples/1", b"", {}, 405, "Method Not Allowed"),
        ("/nothing", b"", {}, 405, "Method Not Allowed"),
    ],
)
def test_errors(
    path: str, content: bytes, headers: dict[str, str], status: int, reason: str, client: TestClient
) -> None:
    response = client.post(path, content=content, headers=headers)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert re.fullmatch(reason, response.json()["error"])


@pytest.mark.parametrize("index", ["10000", "-1", "x", "9" * 5000, "½", "%0a"])
def test_no_such_example(index: str, client: TestClient) -> None:
    response = client.get(f"/examples/{index}")
    assert response.status_code == 404
    assert response.json() == {"error": "no such example: there are 10,000, counted from 0"}


def test_another_host_is_refused(client: TestClient) -> None:
    for path in ("/", "/run", "/examples/0"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 421


def test_too_many_requests_at_once(app: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    proceed, started = threading.Event(), threading.Semaphore(0)

    def slow_answer(*_: object) -> dict[str, Any]:
        started.release()
        proceed.wait(30)
        return {}

    monkeypatch.setattr(server, "answer", slow_answer)
    statuses: list[int] = []
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def ask() -> None:
            statuses.append(client.post("/strokes", json=SEVEN).status_code)

        threads = [threading.Thread(target=ask) for _ in range(MOST_WAITING[0] + 3)]
        for thread in threads:
            thread.start()
        assert started.acquire(timeout=30)
        for _ in range(1000):
            if len(statuses) == 3:
                break
            threading.Event().wait(0.01)
        refused = client.post("/strokes", json=SEVEN)
        proceed.set()
        for thread in threads:
            thread.join(30)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert sorted(statuses) == [200] * MOST_WAITING[0] + [429] * 3


def test_too_many_bytes_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_BYTES", (1000, 1000))
    client = TestClient(make_app(run, DIGITS), base_url="http://127.0.0.1")
    for _ in range(3):
        assert client.post("/picture", content=b"x" * 999, headers=PNG).status_code == 422
        assert client.post("/picture", content=b"x" * 1001, headers=PNG).status_code == 429


def test_an_internal_error_does_not_show_its_message(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(run, DIGITS)

    def fail(*_: object) -> None:
        raise RuntimeError("inner secrets")

    monkeypatch.setattr(server, "answer", fail)
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    response = client.post("/strokes", json=SEVEN)
    assert response.status_code == 500
    assert response.json() == {"error": "internal error; see the server's terminal"}
    assert response.headers["X-Content-Type-Options"] == "nosniff"


# Any input gives an answer or a reason


def expect_answer_or_reason(client: TestClient, path: str, content: bytes, headers: dict[str, str]) -> None:
    response = client.post(path, content=content, headers=headers)  # raises if the application does
    if response.status_code == 200:
        assert set(response.json()) == {"probabilities", "image", "layers"}
    else:
        assert 400 <= response.status_code < 500
        assert re.fullmatch(r"[^\n]{5,300}", response.json()["error"])


def with_correct_checksums(png: bytes) -> bytes:
    """A PNG file with corrected checksums of its complete chunks, so that their contents are parsed."""
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        if len(body) < 4 + length:
            break
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out + png[at:])


PICTURES = {form: picture(form, 40) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP")}
changes = st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=8)


@given(st.sampled_from(sorted(PICTURES)), changes, st.integers(10, 10**4), st.booleans())
def test_damaged_pictures(client: TestClient, form: str, changes: list[tuple[int, int]], cut: int, fix: bool) -> None:
    content = bytearray(PICTURES[form])
    for position, value in changes:
        content[position % len(content)] = value
    damaged = bytes(content[:cut])
    sent = with_correct_checksums(damaged) if fix and form == "PNG" else damaged
    expect_answer_or_reason(client, "/picture", sent, PNG)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 255))
def test_png_headers(client: TestClient, width: int, height: int, depth: int, colour: int) -> None:
    content = bytearray(PICTURES["PNG"])
    content[16:26] = struct.pack(">IIBB", width, height, depth, colour)
    expect_answer_or_reason(client, "/picture", with_correct_checksums(bytes(content)), PNG)


@given(st.binary(max_size=300))
def test_any_bytes(client: TestClient, content: bytes) -> None:
    expect_answer_or_reason(client, "/picture", content, PNG)
    expect_answer_or_reason(client, "/strokes", content, JSON)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=3),
        max_leaves=20,
    )
)
def test_any_json(client: TestClient, value: object) -> None:
    expect_answer_or_reason(client, "/strokes", json.dumps(value).encode(), JSON)


# Training at the same time


def train(mnist: Dataset, steps: int) -> list[npt.NDArray[np.float32]]:
    """The weights after `steps` steps."""
    model = make_model("lenet5", generator=Generator(1))
    optimizer = nn.AdamW(model.parameters(), lr=0.004)

    @capture
    def learn(images: Tensor, classes: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(model(images), classes)
        loss.backward()
        optimizer.step()
        return loss.detach()

    for step in range(steps):
        some = slice(64 * step, 64 * (step + 1))
        learn(normalise(mnist.train.images[some]), from_numpy(mnist.train.labels[some].astype(np.int64)))
    return [parameter.detach().numpy().copy() for parameter in model.parameters()]


@pytest.mark.parametrize(("backend", "steps"), [("cpu", 100), ("numpy", 12)])
def test_training_and_serving_do_not_disturb_each_other(backend: str, steps: int, mnist: Dataset) -> None:
    run = a_run(backend)
    app = make_app(run, DIGITS, mnist.test)
    weights = [train(mnist, steps)]
    answers: dict[int, list[Any]] = {index: [] for index in range(20)}

    with TestClient(app, base_url="http://127.0.0.1") as client:

        def ask(index: int) -> Any:
            return client.get(f"/examples/{index}").json()

        alone = [ask(index) for index in answers]

        def keep_asking() -> None:
            for index in answers:
                answers[index].extend(ask(index) for _ in range(3))

        asking = [threading.Thread(target=keep_asking) for _ in range(2)]
        for thread in asking:
            thread.start()
        while any(thread.is_alive() for thread in asking):
            weights.append(train(mnist, steps))

    for during_serving in weights[1:]:
        for actual, expected in zip(during_serving, weights[0], strict=True):
            np.testing.assert_array_equal(actual, expected)
    for index, during_training in answers.items():
        assert during_training == [alone[index]] * 6
