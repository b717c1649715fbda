import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stackgrad.mnist import Dataset, Split
from stackgrad.mnist.pictures import PICTURES
from stackgrad.mnist.pictures.report import FOLDER, REPORT, write_report
from stackgrad.mnist.runs.folder import RunError, load_run
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import set_default_backend

DIGITS = [str(digit) for digit in range(10)]
EMPTY = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """The contents of a page: elements, attributes and table cells. Fails if an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("th", "td"):
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("th", "td"):
            self.cells[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


@pytest.fixture(scope="module")
def data(mnist: Dataset) -> Dataset:
    """Data whose test images are mostly, but not all, classified correctly."""
    return Dataset(mnist.train, Split(mnist.test.images[:300], mnist.test.labels[:300]), "MNIST")


@pytest.fixture(scope="module")
def reported(trained: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report. Tests must not change it."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("reported") / "run"))
    set_default_backend("numpy")
    write_report(load_run(folder), data, DIGITS)
    return folder


@pytest.fixture
def page(reported: Path) -> Page:
    return Page((reported / REPORT).read_text(encoding="utf-8"))


@pytest.fixture
def folder_of_run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_every_picture_is_a_file_and_on_the_page(page: Page, reported: Path) -> None:
    files = {path.name: path.read_bytes() for path in (reported / FOLDER).iterdir()}
    assert set(files) == {f"{name}.png" for name in PICTURES}
    images = page.all("img")
    for name, image in zip(PICTURES, images, strict=True):
        start, content = str(image["src"]).split(",")
        assert start == "data:image/png;base64"
        assert base64.b64decode(content) == files[f"{name}.png"]
        assert len(str(image["alt"])) > 50
    assert "Confusion matrix of 10 classes." in str(images[PICTURES.index("confusion")]["alt"])


def test_the_page_refers_to_no_other_files(page: Page, reported: Path) -> None:
    text = (reported / REPORT).read_text(encoding="utf-8")
    assert "//" not in re.sub(r'src="data:[^"]*"', "", text)
    assert not re.search(r"@import|url\(", text)
    assert not {"script", "link", "iframe", "object", "a"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert "href" not in attributes
        assert str(attributes.get("src", "data:")).startswith("data:")
    (policy,) = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert str(policy).startswith("default-src 'none'")


def test_the_page_is_accessible(page: Page, reported: Path) -> None:
    text = (reported / REPORT).read_text(encoding="utf-8")
    assert page.all("html") == [{"lang": "en"}]
    assert "<title>lenet5 on MNIST</title>" in text
    assert "width=device-width" in str(page.all("meta"))
    for media in ("prefers-color-scheme: dark", "@media print"):
        assert media in text


def test_tables(page: Page, reported: Path, data: Dataset) -> None:
    run = load_run(reported)
    guesses = probabilities(run.model, data.test.images).argmax(axis=1)
    table = {row[0]: row[1:] for row in page.cells}
    for digit in range(10):
        mask = data.test.labels == digit
        correct = int((guesses[mask] == digit).sum())
        assert table[str(digit)][:2] == [str(mask.sum()), str(correct)]
        wrong = guesses[mask & (guesses != digit)].tolist()
        named = dict(re.findall(r"(\d) \((\d)\)", table[str(digit)][3]))
        assert all(wrong.count(int(guess)) == int(count) for guess, count in named.items())
        assert len(named) == min(3, len(set(wrong)))
    summary = json.loads((reported / "summary.json").read_text())
    for key in summary:
        assert key.replace("_", " ") in table
    assert table["parameters"] == ["61,706"]
    assert table["test accuracy"] == [f"{summary['test_accuracy']:.2%}"]
    assert "batch_size 32" in table["arguments"][0]


def test_equal_runs_give_equal_files(reported: Path, data: Dataset, tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        files = [folder / REPORT, *(folder / FOLDER).iterdir()]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    shutil.copytree(reported, tmp_path / "again", ignore=shutil.ignore_patterns(FOLDER, REPORT))
    write_report(load_run(tmp_path / "again"), data, DIGITS)
    assert digests(tmp_path / "again") == digests(reported)
    assert len(digests(reported)) == len(PICTURES) + 1


def test_names_are_escaped(folder_of_run: Path, tiny: Dataset) -> None:
    path = folder_of_run / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"note": '"><script>alert(1)</script>'}))
    names = ['<img src="https://example.org">', "a & b", *DIGITS[2:]]
    write_report(load_run(folder_of_run), tiny, names)
    page = Page((folder_of_run / REPORT).read_text(encoding="utf-8"))
    assert len(page.all("img")) == len(PICTURES)
    assert not page.all("script")
    assert {row[0] for row in page.cells} >= {names[0], names[1]}


def test_files_that_cannot_be_read_or_written(folder_of_run: Path, tiny: Dataset) -> None:
    run = load_run(folder_of_run)
    (folder_of_run / "pictures").write_text("mine")
    with pytest.raises(FileExistsError):
        write_report(run, tiny, DIGITS)
    (folder_of_run / "metrics.jsonl").write_text('{"step"')
    with pytest.raises(RunError, match=r"metrics\.jsonl: damaged: line 1"):
        write_report(run, tiny, DIGITS)
    assert not (folder_of_run / REPORT).exists()
