"""Pictures of a run, as PNG: its curves, its mistakes, and its convolutions.

Each picture is a module in this folder, listed in `PICTURES`. Its function `draw` takes a `Shown` and returns a
`Drawing`.
"""

from __future__ import annotations

from importlib import import_module

from ._picture import Picture, Shown

__all__ = ["PICTURES", "Picture", "Shown", "draw_all"]

PICTURES = ("curves", "confusion", "mistakes", "channels", "filters")


def draw_all(shown: Shown) -> list[Picture]:
    """Draw all pictures of a trained model, in the order of `PICTURES`. Equal arguments give equal bytes."""
    from ._style import Drawing, style  # importing matplotlib takes longer than some commands

    pictures = []
    with style():
        for name in PICTURES:
            drawing: Drawing = import_module(f"{__name__}.{name}").draw(shown)
            pictures.append(Picture(name, drawing.heading, drawing.title, drawing.description, drawing.png()))
    return pictures
