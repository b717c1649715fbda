"""Export of a trained model to an ONNX file, for other programs to run.

The model is called once. Each function that depends on the input becomes the equivalent ONNX operator, and everything
else becomes a constant. ONNX's operators: https://onnx.ai/onnx/operators/.
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
_IR_VERSION = 8  # as old as opset 17, since programs refuse files that are newer than themselves
_BATCH = 3  # in the one call; the exported model takes any batch size

Operator = tuple[str, list[Any], dict[str, Any]]
"""The name of an operator, its inputs (tensors or arrays) and its attributes."""


class ExportError(FailureError):
    """A model cannot be exported. The message is one line that says why."""


def export_model(run: Run, path: Path) -> None:
    """Write the model of a run to an ONNX file.

    The model's input, "images", is uint8 (n, 28, 28) for any n, with 0 for the background and 255 for full ink, like
    images from `read_image`. Its output, "probabilities", is float32 (n, classes). The metadata contain the names of
    the classes as JSON.

    Raises:
        ExportError: the package onnx is not installed, or the model applies a function without an operator here.
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
    names: dict[int, str] = {}  # names of the tensors that depend on the input, by id

    def add(operator: str, inputs: list[Any], attributes: dict[str, Any], output: str | None = None) -> str:
        given = [each for each in inputs if each is not None]  # a layer may have no bias
        taken = [each if isinstance(each, str) else constant(each) for each in given]
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
            continue  # does not depend on the input: a constant, if it is used
        if one.name not in _OPERATORS:
            raise ExportError(f"the model applies {one.name}, which export does not support yet")
        output = ""
        for operator, inputs, attributes in _OPERATORS[one.name](*one.arguments):
            named = [names.get(id(each), each) if isinstance(each, Tensor) else each for each in inputs]
            output = add(operator, [output if each is _LAST else each for each in named], attributes)
        names[id(one.result)] = output
    add("Softmax", [names[id(result)]], {"axis": 1}, OUTPUT)
    return nodes, constants, result.shape[1]


_LAST = object()
"""Stands for the result of the previous operator."""


def _with_relu(operator: Operator, relu: bool) -> list[Operator]:
    return [operator, ("Relu", [_LAST], {})] if relu else [operator]


def _window(window: Window) -> dict[str, Any]:
    (top, bottom), (left, right) = window.padding
    return {"kernel_shape": window.kernel, "strides": window.stride, "pads": [top, left, bottom, right]}


def _reshape(x: Tensor, shape: tuple[int, ...]) -> list[Operator]:
    if shape[:1] != x.shape[:1]:
        raise ExportError(f"the model reshapes {x.shape} to {shape}, which mixes the images of a batch")
    return [("Reshape", [x, np.array([0, *shape[1:]])], {})]  # 0 keeps the extent


def _elementwise(operator: str) -> Callable[..., list[Operator]]:
    return lambda *operands: [(operator, list(operands), {})]


_OPERATORS: dict[str, Callable[..., list[Operator]]] = {
    "Conv2d": lambda x, weight, bias, window, groups, relu=False: _with_relu(
        ("Conv", [x, weight, bias], {**_window(window), "dilations": window.dilation, "group": groups}), relu
    ),
    "Linear": lambda x, weight, bias, relu: _with_relu(("Gemm", [x, weight, bias], {"transB": 1}), relu),
    "MaxPool2d": lambda x, window: [("MaxPool", [x], {**_window(window), "dilations": window.dilation})],
    "AvgPool2d": lambda x, window: [("AveragePool", [x], {**_window(window), "count_include_pad": 1})],
    "Reshape": _reshape,
    "Softmax": lambda x, dim: [("Softmax", [x], {"axis": dim})],
    "LogSoftmax": lambda x, dim: [("LogSoftmax", [x], {"axis": dim})],
    **{name: _elementwise(name.capitalize()) for name in ("add", "sub", "mul", "div", "neg", "exp", "log", "sqrt")},
    **{name: _elementwise(name.capitalize()) for name in ("relu", "tanh", "sigmoid")},
}
