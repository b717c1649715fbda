"""NumPy's names `axis` and `keepdims`, for `dim` and `keepdim`, in all calls that have these."""

import inspect

import pytest

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor, ones, tensor


def beside_dim(name):
    """What calls need besides dim."""
    index, source = tensor([[0, 1, 0], [1, 0, 1]]), ones(2, 3)
    return {
        "chunk": {"chunks": 2},
        "gather": {"index": index},
        "index_add": {"index": tensor([1]), "source": ones(1, 2)},
        "index_add_": {"index": tensor([1]), "source": ones(1, 2)},
        "index_select": {"index": tensor([1, 0])},
        "kthvalue": {"k": 1},
        "linalg.norm": {"ord": 1},
        "narrow": {"start": 0, "length": 1},
        "repeat_interleave": {"repeats": 2},
        "roll": {"shifts": 1},
        "scatter": {"index": index, "src": source},
        "scatter_": {"index": index, "src": source},
        "scatter_add": {"index": index, "src": source},
        "scatter_add_": {"index": index, "src": source},
        "select": {"index": 1},
        "split": {"split_size": 1},
        "take_along_dim": {"indices": index},
        "topk": {"k": 1},
        "unflatten": {"sizes": (1, -1)},
    }.get(name, {})


KEEPING = {"kthvalue", "linalg.norm", "linalg.vector_norm", "median", "norm", "std_mean", "var_mean"}


def calls_with_dim():
    """Every public method and function that has a parameter `dim`, by name; `dims`, of flip and roll."""
    found = {name: getattr(Tensor, name) for name in dir(Tensor) if not name.startswith("_")}
    found |= {name: getattr(sg, name) for name in dir(sg) if not hasattr(Tensor, name)}
    found |= {f"linalg.{name}": getattr(sg.linalg, name) for name in sg.linalg.__all__}
    found |= {f"sg.{name}": getattr(sg, name) for name in ("max", "min")}
    for name, function in list(found.items()):
        taken = inspect.signature(function).parameters if inspect.isroutine(function) else {}
        if "dim" not in taken and name not in ("flip", "roll"):
            del found[name]
    return found


@pytest.mark.parametrize("name", calls_with_dim())
def test_axis_means_dim_in_each_call(name):
    function, rest = calls_with_dim()[name], beside_dim(name)
    several = name in ("cat", "concat", "concatenate", "stack")

    def result(dims, **names):
        x = tensor([[1.0, 5.0, 2.0], [3.0, 0.0, 4.0]])
        if name in ("index_add", "index_add_"):
            x = x[:, :2].clone()
        if name == "flip":
            found = function(x, *dims, **names)
        else:
            given = dict.fromkeys(["dims" if name == "roll" else "dim"], *dims) if dims else {}
            found = function([x, x] if several else x, **rest, **names, **given)
        return [y.tolist() for y in found] if isinstance(found, tuple) else [found.tolist()]

    for dim in (0, 1, -1):
        if dim == 0 or name not in ("index_add", "index_add_"):
            assert result([], axis=dim) == result([dim])
        if name in KEEPING:
            assert result([], axis=dim, keepdims=True) == result([dim], keepdim=True)
    with pytest.raises(TypeError, match="both dim and axis"):
        result([1], axis=1)
