"""einsum and tensordot: NumPy's values, the order of products, and errors."""

import sys
from types import ModuleType

import numpy as np
import pytest

from stackgrad.tensor import einsum, tensor, tensordot

EXTENTS = dict(zip("abcdijkl", (2, 3, 4, 5, 3, 2, 4, 3), strict=True))


def operands(equation):
    rng = np.random.default_rng(0)
    parts = equation.replace(" ", "").partition("->")[0].split(",")
    shapes = [(*(2, 3)[: 2 * ("..." in part)], *[EXTENTS[n] for n in part.replace(".", "")]) for part in parts]
    return [rng.integers(-3, 4, shape) * 1.0 for shape in shapes]


EQUATIONS = [
    *(
        "ij,jk->ik",
        "ij, jk",
        "ij->ji",
        "ij",
        "ji",
        "ij->",
        "ij->i",
        "aa->a",
        "aa",
        "aab->b",
        "i,i",
        "i,j->ij",
        "i,j->ji",
    ),
    *("aij,ajk->aik", "aij,akj->aik", "...ij,jk->...ik", "...i,...i->...", "...ij->...ji", "i...->...", "a,a->a"),
    *(
        "ab,bc,cd->ad",
        "ab,bc,cd->",
        "a,b,c->abc",
        "ab,ab,ab->ab",
        "i,ij,j->",
        "aij,jk,akl->il",
        ",a->a",
        "ab,cb,ad->dc",
    ),
    *("abab->ab", "aa,ab->b", "ijk,jil->kl", "ij,kl->", "ac,bc->ba"),
]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_values(equation):
    arrays = operands(equation)
    found = einsum(equation, *map(tensor, arrays))
    np.testing.assert_array_equal(found.numpy(), np.einsum(equation, *arrays))


def test_extents_of_one_broadcast():
    x, y = np.arange(3.0)[None], np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(einsum("ij,ij->ij", tensor(x), tensor(y)).numpy(), x * y)
    assert einsum("ij,ij->", tensor(x), tensor(y)).item() == (x * y).sum()
    assert einsum("ij,jk->ik", tensor([[1.0], [2.0]]), tensor([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[4, 6], [8, 12]]


def test_operands_may_be_a_list_and_of_other_dtypes():
    assert einsum("i,i->", [tensor([1, 2]), tensor([3, 4])]).tolist() == 11
    assert einsum("ij,ij->ij", tensor([[True]]), tensor([[True]])).tolist() == [[True]]


def test_gradients():
    arrays = operands("ab,bc,cd->ad")
    leaves = [tensor(a, requires_grad=True) for a in arrays]
    einsum("ab,bc,cd->ad", *leaves).sum().backward()
    a, b, c = arrays
    g = np.ones((a.shape[0], c.shape[1]))
    np.testing.assert_array_equal(leaves[0].grad.numpy(), g @ c.T @ b.T)
    np.testing.assert_array_equal(leaves[1].grad.numpy(), a.T @ g @ c.T)
    np.testing.assert_array_equal(leaves[2].grad.numpy(), b.T @ a.T @ g)


@pytest.mark.parametrize("path", [[(1, 2), (0, 1)], [(0, 2), (0, 1)], [(0, 1, 2)], [(0,), (0, 1), (0, 1)]])
def test_the_order_of_opt_einsum_is_used(monkeypatch, path):
    asked = []

    def contract_path(equation, *shapes, **options):
        asked.append((equation, shapes, options))
        return path, None

    library = ModuleType("opt_einsum")
    library.contract_path, library.get_symbol = contract_path, lambda i: "xyzw"[i]
    monkeypatch.setitem(sys.modules, "opt_einsum", library)
    arrays = operands("ab,bc,cd->ad")
    found = einsum("ab,bc,cd->ad", *map(tensor, arrays))
    np.testing.assert_array_equal(found.numpy(), np.einsum("ab,bc,cd->ad", *arrays))
    assert asked == [("xy,yz,zw->xw", ((2, 3), (3, 4), (4, 5)), {"shapes": True})]


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "einsum 'ij,jk->ik' of 1 tensors: expected letters and ... for each"),
        ("i1->i", [(2, 3)], "einsum 'i1->i' of 1 tensors: expected letters"),
        ("ijk->i", [(2, 3)], "einsum 'ijk->i': 'ijk' labels a tensor of 2 dimensions"),
        ("i->i", [(2, 3)], "'i' labels a tensor of 2 dimensions"),
        ("ij->k", [(2, 3)], "the result 'k' has labels that no tensor has, or one twice"),
        ("ij->ii", [(2, 3)], "the result 'ii' has labels that no tensor has, or one twice"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "'j' has extents 3 and 4"),
        ("ii->i", [(2, 3)], "'i' has extents 2 and 3"),
    ],
)
def test_invalid_equations(equation, shapes, message):
    with pytest.raises(ValueError, match=message):
        einsum(equation, *[tensor(np.zeros(shape)) for shape in shapes])


def test_arguments_that_are_not_tensors():
    with pytest.raises(TypeError, match="einsum: got a NumPy array"):
        einsum("i->", np.zeros(2))
    with pytest.raises(ValueError, match="einsum of no tensors"):
        einsum("i->")


def test_tensordot():
    x, y = np.arange(24.0).reshape(2, 3, 4), np.arange(24.0).reshape(3, 4, 2)
    a, b = tensor(x), tensor(y)
    np.testing.assert_array_equal(tensordot(a, b).numpy(), np.tensordot(x, y))
    np.testing.assert_array_equal(tensordot(a, b, 0).numpy(), np.tensordot(x, y, 0))
    np.testing.assert_array_equal(tensordot(a, b, dims=([0, 2], [2, 1])).numpy(), np.tensordot(x, y, ([0, 2], [2, 1])))
    with pytest.raises(ValueError, match="tensordot over 4 dims of shapes"):
        tensordot(a, b, 4)
    with pytest.raises(ValueError, match=r"tensordot over \[0\] of .* expected equal extents"):
        tensordot(a, b, ([0], [0]))
