"""Links between documents lead somewhere, also from a package's page on an index."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tensor", "kernels", "nn", "mnist")
HERE = re.compile(r"https://github\.com/stackgrad/stackgrad/(?:blob|tree|raw)/main/(.+)")
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
DOCUMENTS = [name for name in TRACKED if name.endswith(".md") and (ROOT / name).exists()]


def text_of(name: str) -> str:
    """A document without its code blocks."""
    return re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(name: str) -> list[str]:
    """The targets of a document's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", text_of(name))


def anchors(path: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(path.relative_to(ROOT).as_posix()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_into_the_tree(name: str) -> None:
    for link in links(name):
        here = HERE.fullmatch(link)
        if not here and re.match(r"\w+:", link):
            continue
        file, _, anchor = (here[1] if here else link).partition("#")
        path = (ROOT / file if here else (ROOT / name).parent / file if file else ROOT / name).resolve()
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_on_an_index(package: str) -> None:
    page = f"packages/{package}/README.md"
    assert [link for link in links(page) if not re.match(r"https://|#", link)] == []
    whole = (ROOT / page).read_text(encoding="utf-8")
    assert re.findall(r"\./packages|(?<!/main/)packages/\w+", whole) == []
    assert re.search(rf"^(\$ )?pip install stackgrad-{package}$", whole, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_names_each_extra_and_the_project_its_pages(package: str) -> None:
    project = tomllib.loads((ROOT / f"packages/{package}/pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = (ROOT / f"packages/{package}/README.md").read_text(encoding="utf-8")
    assert [extra for extra in project["optional-dependencies"] if f"[{extra}]" not in whole] == []
    for url in project["urls"].values():
        if here := HERE.fullmatch(url):
            assert (ROOT / here[1]).exists()
