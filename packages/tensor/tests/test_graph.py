"""The picture of a tensor's graph."""

import re
from xml.etree import ElementTree

import pytest

from stackgrad.tensor import ones, randn


def texts(picture):
    return [text.text for text in ElementTree.fromstring(str(picture)).iter("{http://www.w3.org/2000/svg}text")]


def test_each_operation_and_leaf_is_there_once():
    w, b = randn(2, 3, requires_grad=True), randn(3, requires_grad=True)
    hidden = (ones(4, 2) @ w + b).tanh()
    loss = (hidden * hidden).sum()
    assert texts(loss.graph(w=w, hidden=hidden)) == ["w (2, 3)", "MatMul", "(3,)", "add", "tanh: hidden", "mul", "Sum"]
    assert loss.graph()._repr_svg_() == str(loss.graph())


def test_lines_lead_to_the_right_and_from_each_operand():
    x = randn(3, requires_grad=True)
    out = (x.exp() + x) * x.sum()
    lines = re.findall(r'<path d="M([\d.]+) [\d.]+C.* ([\d.]+) [\d.]+"/>', str(out.graph()).replace("<path", "\n<path"))
    assert len(lines) == 6
    assert all(float(start) < float(end) for start, end in lines)


def test_names_are_escaped():
    x = randn(2, requires_grad=True)
    assert texts((x * 2).graph(**{"a<b": x})) == ["a<b (2,)", "mul"]


def test_a_leaf_is_a_picture_too():
    assert texts(ones(2, requires_grad=True).graph()) == ["(2,)"]


def test_a_long_chain_needs_no_recursion():
    x = ones(1, requires_grad=True)
    for _ in range(3_000):
        x = x + 1
    assert len(texts(x.graph())) == 3_001


def test_a_tensor_without_a_graph_raises():
    with pytest.raises(RuntimeError, match="graph of a tensor that does not require a gradient"):
        ones(2).graph()
    loss = (ones(2, requires_grad=True) * 2).sigmoid().sum()
    before = loss.sigmoid()
    before.backward()
    with pytest.raises(RuntimeError, match="backward has freed: draw it before, or retain_graph=True"):
        before.graph()


def test_a_name_of_something_else_is_refused():
    with pytest.raises(TypeError, match="graph: w: got int, expected a tensor"):
        ones(2, requires_grad=True).graph(w=3)
