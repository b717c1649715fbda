"""The pages of the site that are not in docs/: the READMEs, the changelogs, and a reference of every public name.

This is a hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks). Links from one document to another
lead to its page, and all other links within the repository lead to the repository.
"""

from __future__ import annotations

import importlib
import inspect
import posixpath
import re
import zlib
from pathlib import Path
from typing import Any

from markdown import Extension
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from tools.public_names import MODULES, ONLY_TYPES, described_in, methods, public_names, public_values

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
"""The documents outside docs/ and docs/README.md, by path, and their pages."""

EXAMPLES = """Examples know the names of `stackgrad.tensor`, as if each was imported from there, `nn`, `optim`,
`init` and `utils` of `stackgrad.nn`, `F` for its `functional`, and `np`.

"""

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")


def described_names(module: str) -> dict[str, str]:
    """For each public name of a module, the name under which the reference describes its object."""
    names = {name: f"{module}.{name}" for name in public_names(importlib.import_module(module))}
    values = {name: public_values()[path] for name, path in names.items() if path in public_values()}
    return {name: described_in().get(id(value), names[name]) for name, value in values.items()}


def members(path: str) -> dict[str, str]:
    """The methods of a class to describe under a public name, including those of bases that are not public.

    The value is the name under which a method is described: `clamp` is described as `clip`.
    """
    found = methods(public_values()[path]) if inspect.isclass(public_values()[path]) else {}
    here = {name: function for name, function in found.items() if described_in()[id(function)].startswith(f"{path}.")}
    return {name: function.__name__ for name, function in here.items() if function.__doc__}


def described(path: str) -> str:
    """The description of a public name."""
    aliases = {name: other for name, other in members(path).items() if name != other}
    inherited = [name for name in members(path) if name not in aliases]
    # Of the base class of tensors, only those methods that are not described as those of tensors.
    options = f"{'members' if path.startswith(ONLY_TYPES) and inherited else 'inherited_members'}: {inherited}"
    block = f"::: {path}\n    options:\n      {options}\n\n"
    links = [f"`{name}` is [`{other}`][{path}.{other}]" for name, other in aliases.items()]
    return block + (f"Other names of methods: {', '.join(links)}.\n\n" if links else "")


def reference(module: str) -> str:
    """The page of a module: descriptions, and links to names that are described on other pages."""
    names = described_names(module)
    here = {name: path for name, path in names.items() if path == f"{module}.{name}"}
    links = [f"[`{name}`][{path}]" for name, path in names.items() if name not in here]
    also = f"Described on other pages: {', '.join(links)}.\n\n" if links else ""
    borrowed = [f"`{name}`" for name in public_names(importlib.import_module(module)) if name not in names]
    also += f"From Python's `math` and from NumPy: {', '.join(borrowed)}.\n\n" if borrowed else ""
    head = f"::: {module}\n    options:\n      members: false\n      show_root_heading: false\n"
    known = "" if module.startswith(("stackgrad.kernels", "stackgrad.mnist")) else EXAMPLES
    return f"# {module}\n\n{head}\n{known}{also}" + "".join(map(described, here.values()))


class Examples(Extension):  # type: ignore[misc]
    """An extension of Markdown that treats paragraphs of docstrings that start with `>>>` as Python code."""

    def extendMarkdown(self, md: Any) -> None:
        md.preprocessors.register(self, "examples", 100)  # before those that look for fences

    def run(self, lines: list[str]) -> list[str]:
        """Add a fence around each example that has none."""
        out: list[str] = []
        fenced = example = False
        for line in [*lines, ""]:
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced and not example and line.startswith(">>> "):
                out.append("```pycon")
                example = True
            elif example and not line.strip():
                out.append("```")
                example = False
            out.append(line)
        return out[:-1] if not example else out


def on_config(config: Any) -> Any:
    """Add the modules of the reference to the navigation, and the extension for examples in docstrings."""
    config["markdown_extensions"].append(Examples())
    pages = [{module: f"reference/{module}.md"} for module in MODULES]
    config["nav"] = [{"Reference": pages} if "Reference" in entry else entry for entry in config["nav"]]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    readme = files.get_file_from_path("README.md")
    if readme is not None:
        files.remove(readme)
    for document, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text(encoding="utf-8")))
    for module in MODULES:
        files.append(File.generated(config, f"reference/{module}.md", content=reference(module)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Change the links of a document to pages of the site, or else to the repository."""
    uri = page.file.src_uri
    documents = {page: document for document, page in PAGES.items()}
    here = documents.get(uri, f"docs/{uri}")

    def changed(match: re.Match[str]) -> str:
        start, link, end = match.groups()
        path, _, anchor = link.partition("#")
        if in_repository := re.fullmatch(rf"{re.escape(config['repo_url'])}/(?:blob|tree|raw)/main/(.+)", path):
            target = in_repository[1]  # the READMEs of the packages have such links for their pages on an index
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

    return _LINK.sub(changed, markdown)


def on_post_build(config: Any) -> None:
    """Raise PluginError if the reference does not describe a public name."""
    content = (Path(config["site_dir"]) / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split()[0] for line in zlib.decompress(content).decode().splitlines()}
    paths = [path for module in MODULES for path in described_names(module).values()]
    paths += [f"{path}.{name}" for path in paths if path in public_values() for name in members(path).values()]
    if missing := [path for path in paths if path not in known]:
        raise PluginError(f"the reference lacks {', '.join(missing)}")
