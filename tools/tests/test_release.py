"""The reasons to refuse a release."""

import subprocess
from pathlib import Path

import pytest

from tools import release


def git(*arguments: str, root: Path) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def write(root: Path, package: str, version: str, heading: str, *requirements: str) -> None:
    """Commit a package of that version, with one section in its changelog."""
    folder = root / "packages" / package
    source = folder / "src" / "stackgrad" / package
    source.mkdir(parents=True, exist_ok=True)
    (source / "__init__.py").write_text(f'"""A package."""\n\n__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n### Added\n\n- All.\n")
    (folder / "pyproject.toml").write_text(f"[project]\ndependencies = {list(requirements)}\n")
    git("add", "--all", root=root)
    git("commit", "--quiet", "--allow-empty", "--message", f"{package} {version}", root=root)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with tensor 0.2.0 and nn 0.2.0, ready for a release."""
    monkeypatch.setattr(release, "ROOT", tmp_path)
    for key in ("NAME", "EMAIL"):
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", "a@localhost")
    git("init", "--quiet", root=tmp_path)
    write(tmp_path, "tensor", "0.2.0", "[0.2.0] - 2026-11-29", "numpy>=2.0")
    write(tmp_path, "nn", "0.2.0", "[0.2.0] - 2026-11-29", "stackgrad-tensor>=0.2,<0.3", "numpy>=2.0")
    return tmp_path


def test_without_the_option_nothing_is_tagged(root: Path) -> None:
    assert release.main(["tensor"]) == 0
    assert release.main(["tensor", "--strict"]) == 0
    assert git("tag", root=root) == ""


def test_packages_are_tagged_in_order(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["tensor", "nn", "--tag"]) == 0
    assert git("tag", root=root).split() == ["nn-v0.2.0", "tensor-v0.2.0"]
    assert "git push origin tensor-v0.2.0 publishes it" in capsys.readouterr().out
    assert release.main(["tensor-v0.2.0"]) == 0


@pytest.mark.parametrize("heading", ["[0.2.0] - unreleased", "[Unreleased]", "[0.2.1] - 2026-11-29", "[0.2.0]"])
def test_a_changelog_without_a_date(root: Path, heading: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "tensor", "0.2.0", heading)
    assert release.main(["tensor"]) == 0
    assert release.main(["tensor", "--tag"]) == 1
    reason = 'its CHANGELOG.md has no section "## [0.2.0] - YYYY-MM-DD"'
    assert capsys.readouterr().out == f"tensor cannot be tagged: {reason}\n" * 2
    assert release.main(["tensor-v0.2.0"]) == 1
    assert capsys.readouterr().out == f"tensor-v0.2.0 cannot be published: {reason}\n"
    assert git("tag", root=root) == ""


def test_a_tree_with_uncommitted_changes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "new.py").touch()
    assert release.main(["tensor", "--tag"]) == 1
    assert "the tree has changes that are not committed, such as new.py" in capsys.readouterr().out
    assert git("tag", root=root) == ""


def test_a_version_that_is_not_newer(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release.main(["tensor", "--tag"])
    assert release.main(["tensor", "--tag"]) == 1
    assert "the tag tensor-v0.2.0 exists: raise __version__" in capsys.readouterr().out
    for version, status in (("0.1.9", 1), ("0.10.0", 0), ("0.9.0", 1)):
        write(root, "tensor", version, f"[{version}] - 2026-11-30")
        assert release.main(["tensor", "--tag"]) == status
    assert "version 0.9.0 is older than 0.10.0, which was released" in capsys.readouterr().out


def test_a_sibling_that_is_not_released(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["nn", "--tag"]) == 1
    assert release.main(["nn", "tensor", "--tag"]) == 1
    assert "nn cannot be tagged: it needs tensor 0.2, which has no tag: release it first" in capsys.readouterr().out
    release.main(["tensor", "--tag"])
    assert release.main(["nn", "--tag"]) == 0


def test_a_tag_beside_another_version(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["tensor-v0.3.0"]) == 1
    assert "tensor-v0.3.0 cannot be published: __version__ is 0.2.0, expected 0.3.0" in capsys.readouterr().out


def test_a_version_in_another_form(root: Path) -> None:
    write(root, "tensor", "0.2", "[0.2] - 2026-11-29")
    with pytest.raises(ValueError, match=r"'tensor' has no version in .*expected a line"):
        release.main(["tensor"])


def test_a_sibling_without_a_range() -> None:
    assert release.lower_bounds(["numpy>=2.0", "stackgrad-nn>=0.2,<0.3"]) == [("nn", "0.2")]
    with pytest.raises(ValueError, match=r"'stackgrad-nn>=0\.2': expected a range, such as stackgrad-tensor"):
        release.lower_bounds(["stackgrad-nn>=0.2"])
