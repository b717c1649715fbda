"""What the tests of pictures share: the figure behind a picture, to read what is drawn in it."""

import io
from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from stackgrad.mnist.pictures import _style
from stackgrad.mnist.pictures._style import Picture


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
    finish = _style.finish

    def keep(name: str, title: str, description: str, figure: Figure) -> Picture:
        seen.figures.append(figure)
        return finish(name, title, description, figure)

    for module in ("channels", "confusion", "curves", "filters", "mistakes"):
        monkeypatch.setattr(f"stackgrad.mnist.pictures.{module}.finish", keep)
    with _style.style():
        yield seen


def pixels(picture: Picture) -> tuple[int, int]:
    """Width and height; raises unless the PNG can be read."""
    with Image.open(io.BytesIO(picture.png)) as image:
        image.load()
        return image.size
