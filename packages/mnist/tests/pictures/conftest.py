"""What the tests of pictures share: the figure behind a picture, to read what is drawn in it."""

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
    """What a picture is drawn from, of which it needs no more than is known here."""
    return Shown(**{field.name: known.get(field.name) for field in fields(Shown)})  # type: ignore[arg-type]


class Drawn:
    """The figures of the pictures that were drawn, the last one first to hand."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    @property
    def figure(self) -> Figure:
        return self.figures[-1]

    def texts(self) -> list[str]:
        """All text that can be seen in the last figure."""
        return [text.get_text() for text in self.figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawn]:
    """Draw in the pictures' style, and keep the figures."""
    seen = Drawn()
    plain = Drawing.__init__

    def keep(self: Drawing, *args: Any) -> None:
        plain(self, *args)
        seen.figures.append(self.figure)

    monkeypatch.setattr(Drawing, "__init__", keep)
    with style():
        yield seen


def pixels(picture: Drawing) -> tuple[int, int]:
    """Width and height; raises unless the PNG can be read."""
    with Image.open(io.BytesIO(picture.png())) as image:
        image.load()
        return image.size
