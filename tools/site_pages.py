"""The pages of the site that are not in docs/: the READMEs, the changelogs, and a reference of every public name.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks). Links from one document of the repository to
another lead to its page, all others to the repository.
"""

from __future__ import annotations

import importlib
import posixpath
import re
import zlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tensor", "kernels", "nn", "mnist")
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
    "docs/README.md": "guides.md",
    **{f"packages/{package}/README.md": f"packages/{package}.md" for package in PACKAGES},
    **{f"packages/{package}/CHANGELOG.md": f"changes/{package}.md" for package in PACKAGES},
}
"""Documents outside of docs/, and docs/README.md, by their paths; and the pages that they become."""

MODULES = (
    *(f"stackgrad.tensor{name}" for name in ("", ".autograd", ".linalg", ".cuda", ".array_api", ".testing")),
    *("stackgrad.kernels", "stackgrad.kernels.course"),
    *(f"stackgrad.nn.{name}" for name in ("functional", "init", "optim", "optim.lr_scheduler", "optim.swa_utils")),
    *(f"stackgrad.nn{name}" for name in ("", ".utils", ".data", ".saving", ".distributed", ".course")),
    "stackgrad.mnist",
)
"""Those that users import. What several offer is described where it stands first."""

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")


def public_names(module: ModuleType) -> list[str]:
    """What a module offers besides modules: `__all__`, or without one whatever it defines under a public name."""
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(name for name in listed if not isinstance(getattr(module, name), ModuleType))
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return sorted(name for name in own if not name.startswith("_"))


@cache
def described_in() -> dict[int, str]:
    """For each public class and function, by its identity, the name under which the reference describes it."""
    found: dict[int, str] = {}
    for module in MODULES:
        imported = importlib.import_module(module)
        for name in public_names(imported):
            value = getattr(imported, name)
            if callable(value):
                found.setdefault(id(value), f"{module}.{name}")
    return found


def described_names(module: str) -> dict[str, str]:
    """For each public name of a module, the name under which the reference describes what it stands for."""
    imported = importlib.import_module(module)
    values = {name: getattr(imported, name) for name in public_names(imported)}
    return {name: described_in().get(id(value), f"{module}.{name}") for name, value in values.items()}


def reference(module: str) -> str:
    """The page of a module: what is described here, and links to what another module's page describes."""
    names = described_names(module)
    links = [f"[`{name}`][{path}]" for name, path in names.items() if path != f"{module}.{name}"]
    also = f"Also here: {', '.join(links)}.\n\n" if links else ""
    blocks = "\n".join(f"::: {path}" for name, path in names.items() if path == f"{module}.{name}")
    head = f"::: {module}\n    options:\n      members: false\n      show_root_heading: false\n"
    return f"# {module}\n\n{head}\n{also}{blocks}\n"


def on_config(config: Any) -> Any:
    """Put the modules of the reference into the navigation."""
    pages = [{module: f"reference/{module}.md"} for module in MODULES]
    config["nav"] = [{"Reference": pages} if "Reference" in entry else entry for entry in config["nav"]]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that docs/ does not hold."""
    readme = files.get_file_from_path("README.md")
    if readme is not None:
        files.remove(readme)
    for document, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text(encoding="utf-8")))
    for module in MODULES:
        files.append(File.generated(config, f"reference/{module}.md", content=reference(module)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Have the links of a document lead to pages of the site, or else to the repository."""
    uri = page.file.src_uri
    documents = {page: document for document, page in PAGES.items()}
    here = documents.get(uri, f"docs/{uri}")

    def led(match: re.Match[str]) -> str:
        start, link, end = match.groups()
        path, _, anchor = link.partition("#")
        if in_repository := re.fullmatch(rf"{re.escape(config['repo_url'])}/(?:blob|tree|raw)/main/(.+)", path):
            target = in_repository[1]  # as the READMEs of the packages have them, for their pages on an index
        elif re.match(r"\w+:|#", link):
            return match[0]
        else:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
        if target in PAGES or f"{target}/README.md" in PAGES:
            wanted = PAGES.get(target) or PAGES[f"{target}/README.md"]
        elif target.startswith("docs/"):
            wanted = target.removeprefix("docs/")
        else:
            return f"{start}{config['repo_url']}/blob/main/{target}{'#' + anchor if anchor else ''}{end}"
        relative = posixpath.relpath(wanted, posixpath.dirname(uri) or ".")
        return f"{start}{relative}{'#' + anchor if anchor else ''}{end}"

    return _LINK.sub(led, markdown)


def on_post_build(config: Any) -> None:
    """Raise PluginError for public names that the reference does not describe."""
    content = (Path(config["site_dir"]) / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split()[0] for line in zlib.decompress(content).decode().splitlines()}
    if missing := [path for module in MODULES for path in described_names(module).values() if path not in known]:
        raise PluginError(f"the reference lacks {', '.join(missing)}")
