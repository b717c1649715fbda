from pathlib import Path

import platformdirs
import pytest

from stackgrad.mnist.data.published import HOMELESS, PUBLISHED, data_folder, folder_of, missing


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries_are_plausible(name: str) -> None:
    published = PUBLISHED[name]
    assert len(published.labels) == 10
    assert len({file.sha256 for file in published.files}) == 4
    assert all(len(file.sha256) == 64 for file in published.files)
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in published.mirrors)
    # Smaller than 60,000 and 10,000 images and labels without compression.
    limits = (47_040_016, 60_008, 7_840_016, 10_008)
    assert all(file.size < limit for file, limit in zip(published.files, limits, strict=True))


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_of("kmnist") == tmp_path / "user-data/kmnist"
    monkeypatch.delenv("STACKGRAD_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder().parts[-2:] == ("stackgrad", "data")


@pytest.mark.parametrize("older", [False, True])
def test_no_home(older: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def user_data_path(name: str) -> Path:
        if older:
            return Path("~/.local/share") / name
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("STACKGRAD_DATA_DIR")
    monkeypatch.setattr(platformdirs, "user_data_path", user_data_path)
    assert data_folder() == HOMELESS
    assert len(missing("kmnist", folder_of("kmnist"))) == 4


def test_missing_files(tmp_path: Path) -> None:
    assert missing("mnist", tmp_path) == list(PUBLISHED["mnist"].files)
    first, second, *_ = PUBLISHED["mnist"].files
    (tmp_path / first.name).write_bytes(b"short")
    (tmp_path / second.name).write_bytes(bytes(second.size))
    assert second not in missing("mnist", tmp_path)
    assert first in missing("mnist", tmp_path)
