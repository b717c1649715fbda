"""Shared by the tests of pictures: access to the figure of a picture, to check what it shows."""

import io
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from stackgrad.mnist.pictures import Shown
from stackgrad.mnist.pictures._style import Drawing, style


def shown(**known: Any) -> Shown:
    """The input of a picture with only the given fields, if it needs no others."""
    return Shown(**{field.name: known.get(field.name) for field in fields(Shown)})  # type: ignore[arg-type]


class Drawn:
    """The figures of the pictures that were drawn; `figure` is the last one."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    @property
    def figure(self) -> Figure:
        return self.figures[-1]

    def texts(self) -> list[str]:
        """All visible text in the last figure."""
        return [text.get_text() for text in self.figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawn]:
    """Draw in the style of the pictures, and keep the figures."""
    seen = Drawn()
    plain = Drawing.__init__

    def keep(self: Drawing, *args: Any) -> None:
        plain(self, *args)
        seen.figures.append(self.figure)

    monkeypatch.setattr(Drawing, "__init__", keep)
    with style():
        yield seen


def pixels(picture: Drawing) -> tuple[int, int]:
    """Width and height of the PNG; raises if it cannot be decoded."""
    with Image.open(io.BytesIO(picture.png())) as image:
        image.load()
        return image.size
