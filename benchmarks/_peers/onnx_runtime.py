"""The process that runs inference with ONNX Runtime, with two threads."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from .._pipe import serve
from .._values import pixels
from .side import Arrays, Built, Side

MEAN, STD = 0.1307, 0.3081


def _lenet5(weights: Arrays) -> bytes:
    """LeNet as an ONNX graph, a sequence of (operator, whether it has weights, attributes)."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    layers: list[tuple[str, bool, dict[str, Any]]] = [
        ("Conv", True, {"pads": [2, 2, 2, 2]}),
        ("Relu", False, {}),
        ("MaxPool", False, pool),
        ("Conv", True, {}),
        ("Relu", False, {}),
        ("MaxPool", False, pool),
        ("Flatten", False, {}),
        ("Gemm", True, {"transB": 1}),
        ("Relu", False, {}),
        ("Gemm", True, {"transB": 1}),
        ("Relu", False, {}),
        ("Gemm", True, {"transB": 1}),
    ]
    initial = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights)]
    nodes, used = [], 0
    for i, (name, weighted, attributes) in enumerate(layers):
        inputs = [f"x{i}", f"w{used}", f"w{used + 1}"] if weighted else [f"x{i}"]
        used += 2 * weighted
        nodes.append(helper.make_node(name, inputs, [f"x{i + 1}"], **attributes))
    x = helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n", 1, 28, 28])
    out = helper.make_tensor_value_info(f"x{len(layers)}", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "lenet5", [x], [out], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    serialised: bytes = model.SerializeToString()
    return serialised


def inference(variant: str, weights: Arrays, model_name: str, batch: int) -> Built:
    """Logits of prepared float32 images."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(_lenet5(weights), options, providers=["CPUExecutionProvider"])
    x = ((pixels(batch)[:, None] / 255 - MEAN) / STD).astype(np.float32)
    work = partial(session.run, None, {"x0": x})
    return work, work


if __name__ == "__main__":
    serve(Side({"inference": inference}).served())
