"""Pictures of a run, as PNG: how it learned, what it mistakes for what, what its convolutions see.

A picture is a file of this folder, whose function `draw` makes a `Drawing` of what is `Shown`, and its name in
`PICTURES`.
"""

from __future__ import annotations

from importlib import import_module

from ._picture import Picture, Shown

__all__ = ["PICTURES", "Picture", "Shown", "draw_all"]

PICTURES = ("curves", "confusion", "mistakes", "channels", "filters")


def draw_all(shown: Shown) -> list[Picture]:
    """All pictures of a trained model, in the order of `PICTURES`; equal arguments give equal bytes."""
    from ._style import Drawing, style  # matplotlib takes as long to load as some commands take in all

    pictures = []
    with style():
        for name in PICTURES:
            drawing: Drawing = import_module(f"{__name__}.{name}").draw(shown)
            pictures.append(Picture(name, drawing.heading, drawing.title, drawing.description, drawing.png()))
    return pictures
