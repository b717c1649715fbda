"""Nested states as flat ones: the tensors by name, and the rest with the nesting as JSON.

In the JSON, numbers, text, None and lists stand for themselves; {"dict": [[key, value], ...]} is a dict,
{"tuple": [...]} a tuple and {"tensor": name} a tensor.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stackgrad.tensor import Tensor

from ._arguments import described


def flatten(state: Mapping[Any, Any]) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a nested state, named by their paths ("model.0.weight"), and the JSON; None if it is flat already.

    Raises:
        TypeError: a value that is neither a tensor nor a number, text, None, list, tuple or dict; keys that are none
            of int, float, bool, None and text.
        ValueError: a container that holds itself.
    """
    if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        return dict(state), None
    tensors: dict[str, Tensor] = {}
    return tensors, json.dumps(_taken_apart(state, (), tensors, ()), separators=(",", ":"))


def unflatten(tensors: Mapping[str, Tensor], text: str) -> dict[Any, Any]:
    """What `flatten` took apart. KeyError, TypeError or ValueError where the text is not what it made."""
    state = _put_together(json.loads(text), tensors)
    if not isinstance(state, dict):
        raise TypeError(f"a state is a dict; got {type(state).__name__}")
    return state


def _taken_apart(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor], above: tuple[int, ...]) -> Any:
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
        raise TypeError(f"cannot save {'.'.join(path)!r}: got {type(value).__name__}, a number of NumPy: use .item()")
    if not isinstance(value, Mapping | list | tuple):
        raise TypeError(
            f"cannot save {'.'.join(path)!r}: expected a Tensor, or a number, text, None, list, tuple or dict; got "
            f"{described(value)}"
        )
    if id(value) in above:
        raise ValueError(f"cannot save {'.'.join(path)!r}: it holds itself")
    above = (*above, id(value))
    if not isinstance(value, Mapping):
        items = [_taken_apart(item, (*path, str(index)), tensors, above) for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    for key in value:
        if key is not None and not isinstance(key, bool | int | float | str):
            raise TypeError(f"cannot save the key {key!r} of {'.'.join(path)!r}: expected text or a number")
    return {"dict": [[key, _taken_apart(item, (*path, str(key)), tensors, above)] for key, item in value.items()]}


def _put_together(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_put_together(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_put_together(content, tensors))
    if kind == "dict":
        return {key: _put_together(value, tensors) for key, value in content}
    raise ValueError(f"unknown {kind!r}")
