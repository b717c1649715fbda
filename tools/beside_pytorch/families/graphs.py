"""Programs with backward passes: shared and detached nodes, retained graphs, higher derivatives, several losses."""

from __future__ import annotations

from ..case import Shown
from ..draw import FLOATS, Draw
from ..sides import Side, Tensor


def _leaf(draw: Draw, lib: Side, dtype: str, shape: tuple[int, ...]) -> Tensor:
    return lib.tensor(draw.array(shape, dtype, laid=False), requires_grad=True)


def _grow(draw: Draw, lib: Side, nodes: list[Tensor], count: int) -> None:
    """Add `count` tensors to `nodes`, each computed from earlier ones with the same shape."""
    for _ in range(count):
        a, b = draw.choice(nodes), draw.choice(nodes)
        how = draw.integer(0, 11)
        if how == 0:
            new = a + b
        elif how == 1:
            new = a * b.tanh()
        elif how == 2:
            new = a.sin() - b
        elif how == 3:
            new = a.sigmoid() * 2
        elif how == 4:
            new = lib.maximum(a, b)
        elif how == 5:
            new = lib.where(a > b, a, b * 0.5)
        elif how == 6:
            new = (a * b).detach() + a if draw.chance(0.5) else a.detach() * b
        elif how == 7:
            new = a @ b.T / 2 if a.shape[0] == a.shape[1] else a.tanh()
        elif how == 8:
            new = lib.F.softmax(a, draw.integer(0, 1))
        elif how == 9:
            new = a - a.mean(draw.integer(0, 1), keepdim=True)
        elif how == 10:
            new = lib.concatenate([a[:1], b[1:]], 0)
        else:
            new = a.relu()
        nodes.append(new.tanh() if draw.chance(0.3) else new)


def _show_gradients(lib: Side, show: Shown, leaves: list[Tensor], when: str) -> None:
    for i, leaf in enumerate(leaves):
        show(f"gradient {i} {when}", None if leaf.grad is None else lib.array(leaf.grad))


def backwards(draw: Draw, lib: Side, show: Shown) -> None:
    """One to three losses of one graph, which is retained or freed in between."""
    dtype, shape = draw.choice(FLOATS), draw.choice(((2, 2), (3, 2), (1, 4)))
    leaves = [_leaf(draw, lib, dtype, shape) for _ in range(draw.integer(1, 3))]
    nodes = list(leaves)
    _grow(draw, lib, nodes, draw.integer(1, 8))
    show("last", lib.array(nodes[-1]))
    show("requires", [bool(node.requires_grad) for node in nodes])
    show("leaf", [bool(node.is_leaf) for node in nodes])
    for turn in range(draw.integer(1, 3)):
        out = draw.choice(nodes[-2:])
        retain = draw.choice((None, True, True, False))
        if draw.chance(0.3):
            weight = lib.tensor(draw.array(shape, dtype, laid=False))
            out.backward(weight, retain_graph=bool(retain))
        elif draw.chance(0.03):
            out.backward()  # several elements
        else:
            out.sum().backward(retain_graph=bool(retain))
        _show_gradients(lib, show, leaves, f"after {turn}")
        if draw.chance(0.2):
            leaves[0].grad = None


def shallow(draw: Draw, lib: Side, show: Shown) -> None:
    """Two losses from one node, which saved values or did not: the second backward pass raises or works."""
    x = _leaf(draw, lib, "float32", (3,))
    h = {
        "add": lambda: x + 1,
        "neg": lambda: -x,
        "mul": lambda: x * 2,
        "reshape": lambda: x.reshape(3, 1),
        "sum": lambda: x.sum(),
        "slice": lambda: x[1:],
        "square": lambda: x * x,
        "exp": lambda: x.exp(),
        "power": lambda: x**2,
        "mean": lambda: x.mean(),
        "clone": lambda: x.clone(),
        "sub": lambda: x - 1,
        "div": lambda: x / 2,
        "stack": lambda: lib.stack([x, x], 0),
        "cumsum": lambda: x.cumsum(0),
        "flatten": lambda: x.unsqueeze(0).flatten(),
        "expand": lambda: x.expand(2, 3),
        "index": lambda: x[[0, 2]],
        "where": lambda: lib.where(x.detach() > 0, x, x * 1),
        "astype": lambda: lib.cast(x, "float64"),
        "scaled": lambda: 3 * x,
        "relu": lambda: x.relu(),
        "abs": lambda: x.abs(),
        "matmul": lambda: x @ x.detach(),
        "softmax": lambda: lib.F.softmax(x, 0),
    }
    name = draw.choice(sorted(h))
    y = h[name]()
    for i in range(2):
        (y.sum() if draw.chance(0.5) else y.sum() * 2).backward()
        show(f"gradient {i} of {name}", lib.array(x.grad))


def higher(draw: Draw, lib: Side, show: Shown) -> None:
    """Derivatives up to the third order, of a smooth function of one variable."""
    x = lib.tensor(draw.array(draw.shape(2, 3, empty=0), "float64", "positive", laid=False), requires_grad=True)
    y = x
    for _ in range(draw.integer(1, 3)):
        y = {
            "exp": lambda y: (y * 0.3).exp(),
            "log": lambda y: (y * y + 1).log(),
            "tanh": lambda y: y.tanh(),
            "power": lambda y: y ** draw.choice((2, 3, 4)),
            "sqrt": lambda y: (y * y + 1).sqrt(),
            "div": lambda y: 1 / (y * y + 1),
            "sin": lambda y: y.sin() * y,
            "sigmoid": lambda y: y.sigmoid(),
            "rsqrt": lambda y: (y * y + 0.5).rsqrt(),
            "erf": lambda y: y.erf(),
            "expm1": lambda y: (y * 0.1).expm1(),
            "log1p": lambda y: (y * y).log1p(),
        }[
            draw.choice(
                ("exp", "log", "tanh", "power", "sqrt", "div", "sin", "sigmoid", "rsqrt", "erf", "expm1", "log1p")
            )
        ](y)
    show("value", lib.array(y))
    for order in range(1, 4):
        (y,) = lib.grad(y.sum(), [x], create_graph=True) if y.requires_grad else (y * 0,)
        show(f"derivative {order}", lib.array(y))


def polynomials(draw: Draw, lib: Side, show: Shown) -> None:
    """Powers with integer exponents at 0 and elsewhere, up to the third order."""
    x = lib.tensor(draw.array((4,), "float64", "small", laid=False), requires_grad=True)
    terms = [draw.integer(-2, 3) * x**k for k in range(draw.integer(1, 5))]
    y = terms[0]
    for term in terms[1:]:
        y = y + term
    for order in range(1, 4):
        (y,) = lib.grad(y.sum(), [x], create_graph=True) if y.requires_grad else (y * 0,)
        show(f"derivative {order}", lib.array(y))


def grads(draw: Draw, lib: Side, show: Shown) -> None:
    """`grad` with inputs that are not leaves or do not affect the output."""
    dtype, shape = draw.choice(FLOATS), (2, 2)
    leaves = [_leaf(draw, lib, dtype, shape) for _ in range(2)]
    nodes = list(leaves)
    _grow(draw, lib, nodes, draw.integer(2, 6))
    inputs = [nodes[i] for i in draw.some(range(len(nodes) - 1), 1)]
    found = lib.grad(nodes[-1].sum(), inputs, create_graph=draw.chance(0.5))
    for i, x in enumerate(found):
        show(f"gradient {i}", lib.array(x))
    _show_gradients(lib, show, leaves, "untouched")


def modes(draw: Draw, lib: Side, show: Shown) -> None:
    """no_grad, detach, requires_grad_ and clone: which tensors require a gradient, and which are leaves."""
    x = _leaf(draw, lib, "float32", (3,))
    y = x
    for i in range(draw.integer(1, 5)):
        how = draw.choice(("no_grad", "detach", "clone", "requires", "mul", "view", "integer"))
        if how == "no_grad":
            with lib.no_grad():
                y = y * 2
        elif how == "detach":
            y = y.detach()
        elif how == "clone":
            y = y.clone()
        elif how == "requires":
            y.requires_grad_(draw.chance(0.7))
        elif how == "mul":
            y = y * x
        elif how == "view":
            y = y.reshape(3)
        else:
            show("integer", bool((y > 0).requires_grad))
        show(f"{i} {how}", (bool(y.requires_grad), bool(y.is_leaf)))
    if y.requires_grad:
        y.sum().backward()
        show("gradient", None if x.grad is None else lib.array(x.grad))


FAMILIES = ()
PROGRAMS = (backwards, shallow, higher, polynomials, grads, modes)
