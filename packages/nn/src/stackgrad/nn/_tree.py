"""Conversion of a nested state to tensors by name and JSON, which holds the nesting and the other values.

In the JSON, numbers, text, None and lists represent themselves; {"dict": [[key, value], ...]} is a dict,
{"tuple": [...]} a tuple and {"tensor": name} a tensor.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stackgrad.tensor import Tensor
from stackgrad.tensor._errors import not_a_tensor


def flatten(state: Mapping[Any, Any]) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a nested state, named by their paths ("model.0.weight"), and the JSON; None if it is already flat.

    Raises:
        TypeError: a value that is not a tensor, number, text, None, list, tuple or dict; a key that is not an int,
            float, bool, None or text.
        ValueError: a container that holds itself.
    """
    if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        return dict(state), None
    tensors: dict[str, Tensor] = {}
    return tensors, json.dumps(_encode(state, (), tensors, ()), separators=(",", ":"))


def unflatten(tensors: Mapping[str, Tensor], text: str) -> dict[Any, Any]:
    """The inverse of `flatten`. KeyError, TypeError or ValueError if `flatten` did not write the text."""
    state = _decode(json.loads(text), tensors)
    if not isinstance(state, dict):
        raise TypeError(f"a state is a dict; got {type(state).__name__}")
    return state


def _encode(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor], above: tuple[int, ...]) -> Any:
    if isinstance(value, Tensor):
        name = ".".join(path)
        while name in tensors:  # "a.b" in one dict, and "b" in "a"
            name += "'"
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.generic):
        raise TypeError(f"cannot save {'.'.join(path)!r}: got {type(value).__name__}, a NumPy scalar: use .item()")
    if not isinstance(value, Mapping | list | tuple):
        expected = "a tensor, a number, text, None, a list, a tuple or a dict"
        raise not_a_tensor(f"cannot save {'.'.join(path)!r}", value, expected)
    if id(value) in above:
        raise ValueError(f"cannot save {'.'.join(path)!r}: it holds itself")
    above = (*above, id(value))
    if not isinstance(value, Mapping):
        items = [_encode(item, (*path, str(index)), tensors, above) for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    for key in value:
        if key is not None and not isinstance(key, bool | int | float | str):
            raise TypeError(f"cannot save the key {key!r} of {'.'.join(path)!r}: expected text or a number")
    return {"dict": [[key, _encode(item, (*path, str(key)), tensors, above)] for key, item in value.items()]}


def _decode(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_decode(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((tag, content),) = node.items()
    if tag == "tensor":
        return tensors[content]
    if tag == "tuple":
        return tuple(_decode(content, tensors))
    if tag == "dict":
        return {key: _decode(value, tensors) for key, value in content}
    raise ValueError(f"unknown {tag!r}")
