"""A trained model as an ONNX file, which other programs run.

The model is called once, and each function that it applies to what came from its input becomes the ONNX operator of the
same meaning; all else is constant. ONNX's operators: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.nn.saving import replace_file
from stackgrad.tensor import Tensor, Window, from_numpy

from ..data.datasets import IMAGE_SHAPE
from ..data.labels import class_names
from ..errors import FailureError
from ..models import MEAN, STD
from .folder import Run
from .trace import trace

OPSET = 17
INPUT, OUTPUT = "images", "probabilities"
_IR_VERSION = 8  # that of opset 17's time: programs refuse files newer than themselves
_BATCH = 3  # of the one call; the file takes any

Operator = tuple[str, list[Any], dict[str, Any]]
"""Its name, its inputs (tensors or arrays) and its attributes."""


class ExportError(FailureError):
    """A model cannot be exported; one line that says why."""


def export_model(run: Run, path: Path) -> None:
    """Write the model of a run to an ONNX file.

    Its input, "images", is uint8 (n, 28, 28) for any n, 0 the background and 255 full ink, as `read_image` gives it;
    its output, "probabilities", float32 (n, classes). Its metadata hold the names of the classes, as JSON.

    Raises:
        ExportError: the package onnx is not installed, or the model applies a function that has no operator here.
        OSError: the file cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError("export needs the package onnx: pip install 'stackgrad-mnist[export]'") from error
    nodes, constants, classes = _graph(run.model.to("numpy"), onnx)
    graph = onnx.helper.make_graph(
        nodes,
        run.summary["model"],
        [onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, ["n", *IMAGE_SHAPE])],
        [onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["n", classes])],
        constants,
    )
    model = onnx.helper.make_model(
        graph,
        producer_name="stackgrad-mnist",
        ir_version=_IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    names = class_names(run.summary)
    onnx.helper.set_model_props(
        model, {"labels": json.dumps(names), "test_accuracy": str(run.summary["test_accuracy"])}
    )
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())


def _graph(model: nn.Module, onnx: Any) -> tuple[list[Any], list[Any], int]:
    """The nodes, the constants, and the number of classes."""
    nodes: list[Any] = []
    constants: list[Any] = []
    names: dict[int, str] = {}  # of what depends on the input, by the identity of the tensor

    def add(operator: str, inputs: list[Any], attributes: dict[str, Any], output: str | None = None) -> str:
        taken = [each if isinstance(each, str) else constant(each) for each in inputs]
        output = output or f"{operator.lower()}_{len(nodes)}"
        nodes.append(onnx.helper.make_node(operator, taken, [output], **attributes))
        return output

    def constant(value: Tensor | NDArray[Any]) -> str:
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        name = f"constant_{len(constants)}"
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    scaled = add("Cast", [INPUT], {"to": onnx.TensorProto.FLOAT})
    scaled = add("Unsqueeze", [scaled, np.array([1])], {})
    scaled = add("Mul", [scaled, np.float32(1 / (255 * STD))], {})
    images = from_numpy(np.zeros((_BATCH, 1, *IMAGE_SHAPE), np.float32), backend="numpy")
    names[id(images)] = add("Sub", [scaled, np.float32(MEAN / STD)], {})
    result, applied = trace(model, images)
    for one in applied:
        if not any(id(each) in names for each in one.arguments if isinstance(each, Tensor)):
            continue  # nothing that depends on the input: a constant, where it is used
        if one.name not in _OPERATORS:
            raise ExportError(f"the model applies {one.name}, for which there is no operator of ONNX here")
        output = ""
        for operator, inputs, attributes in _OPERATORS[one.name](*one.arguments):
            named = [names.get(id(each), each) if isinstance(each, Tensor) else each for each in inputs]
            output = add(operator, [output if each is _LAST else each for each in named], attributes)
        names[id(one.result)] = output
    add("Softmax", [names[id(result)]], {"axis": 1}, OUTPUT)
    return nodes, constants, result.shape[1]


_LAST = object()
"""Stands for the result of the operator before."""


def _with_relu(operator: Operator, relu: bool) -> list[Operator]:
    return [operator, ("Relu", [_LAST], {})] if relu else [operator]


def _conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, groups: int, relu: bool = False
) -> list[Operator]:
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return _with_relu(("Conv", inputs, {**_window(window), "dilations": window.dilation, "group": groups}), relu)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> list[Operator]:
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return _with_relu(("Gemm", inputs, {"transB": 1}), relu)


def _max_pool2d(x: Tensor, window: Window) -> list[Operator]:
    return [("MaxPool", [x], {**_window(window), "dilations": window.dilation})]


def _avg_pool2d(x: Tensor, window: Window) -> list[Operator]:
    return [("AveragePool", [x], {**_window(window), "count_include_pad": 1})]


def _window(window: Window) -> dict[str, Any]:
    (top, bottom), (left, right) = window.padding
    return {"kernel_shape": window.kernel, "strides": window.stride, "pads": [top, left, bottom, right]}


def _reshape(x: Tensor, shape: tuple[int, ...]) -> list[Operator]:
    if shape[:1] != x.shape[:1]:
        raise ExportError(f"the model reshapes {x.shape} to {shape}, which mixes the images of a batch")
    return [("Reshape", [x, np.array([0, *shape[1:]])], {})]  # 0: as many as there are


def _elementwise(operator: str) -> Callable[..., list[Operator]]:
    return lambda *operands: [(operator, list(operands), {})]


_OPERATORS: dict[str, Callable[..., list[Operator]]] = {
    "Conv2d": _conv2d,
    "Linear": _linear,
    "MaxPool2d": _max_pool2d,
    "AvgPool2d": _avg_pool2d,
    "Reshape": _reshape,
    "Softmax": lambda x, dim: [("Softmax", [x], {"axis": dim})],
    "LogSoftmax": lambda x, dim: [("LogSoftmax", [x], {"axis": dim})],
    **{name: _elementwise(name.capitalize()) for name in ("add", "sub", "mul", "div", "neg", "exp", "log", "sqrt")},
    **{name: _elementwise(name.capitalize()) for name in ("relu", "tanh", "sigmoid")},
}
