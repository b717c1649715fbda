"""The settings of a layer, as its representation shows them."""

from typing import Any


def settings(layer: Any, **usual: object) -> str:
    """Those attributes, in this order, that are not as usual; for a bias, whether there is none."""
    given = {name: getattr(layer, name) is not None if name == "bias" else getattr(layer, name) for name in usual}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value != usual[name])
