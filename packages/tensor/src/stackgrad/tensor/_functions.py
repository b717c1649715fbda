"""The methods of a tensor as functions, as in PyTorch: exp(x) is x.exp().

The package's `__getattr__` imports them on first use, as `stackgrad.tensor.exp`, along with the other modules that it
lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ._arithmetic import power
from ._errors import not_a_tensor
from ._ops import elementwise
from ._rounding import whole
from ._tensor import Tensor
from ._types import Dims, Operand
from ._value import Value

P = ParamSpec("P")
R = TypeVar("R")


def _of(method: Callable[P, R]) -> Callable[P, R]:
    """A function that calls the method on its first argument, a tensor named `input`."""
    name = method.__name__

    @wraps(method)
    def function(input: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Value):
            raise not_a_tensor(name, input)
        return method(input, *args, **kwargs)  # type: ignore[arg-type]

    function.__module__ = __name__
    return function  # type: ignore[return-value]


abs = _of(Tensor.abs)
acos = _of(Tensor.acos)
add = _of(Tensor.add)
addcdiv = _of(Tensor.addcdiv)
addcmul = _of(Tensor.addcmul)
addmm = _of(Tensor.addmm)
all = _of(Tensor.all)
allclose = _of(Tensor.allclose)
amax = _of(Tensor.amax)
amin = _of(Tensor.amin)
any = _of(Tensor.any)
argmax = _of(Tensor.argmax)
argmin = _of(Tensor.argmin)
argsort = _of(Tensor.argsort)
argwhere = _of(Tensor.argwhere)
asin = _of(Tensor.asin)
atan = _of(Tensor.atan)
atan2 = _of(Tensor.atan2)
baddbmm = _of(Tensor.baddbmm)
bitwise_and = _of(Tensor.bitwise_and)
bitwise_not = _of(Tensor.bitwise_not)
bitwise_or = _of(Tensor.bitwise_or)
bitwise_xor = _of(Tensor.bitwise_xor)
bmm = _of(Tensor.bmm)
broadcast_to = _of(Tensor.broadcast_to)
ceil = _of(Tensor.ceil)
chunk = _of(Tensor.chunk)
clamp = _of(Tensor.clamp)
clamp_max = _of(Tensor.clamp_max)
clamp_min = _of(Tensor.clamp_min)
clip = _of(Tensor.clip)
clone = _of(Tensor.clone)
cos = _of(Tensor.cos)
cosh = _of(Tensor.cosh)
count_nonzero = _of(Tensor.count_nonzero)
cumprod = _of(Tensor.cumprod)
cumsum = _of(Tensor.cumsum)
detach = _of(Tensor.detach)
diag = _of(Tensor.diag)
diag_embed = _of(Tensor.diag_embed)
diagonal = _of(Tensor.diagonal)
diff = _of(Tensor.diff)
div = _of(Tensor.div)
dot = _of(Tensor.dot)
eq = _of(Tensor.eq)
equal = _of(Tensor.equal)
erf = _of(Tensor.erf)
exp = _of(Tensor.exp)
exp2 = _of(Tensor.exp2)
expm1 = _of(Tensor.expm1)
flatten = _of(Tensor.flatten)
flip = _of(Tensor.flip)
fliplr = _of(Tensor.fliplr)
flipud = _of(Tensor.flipud)
floor = _of(Tensor.floor)
floor_divide = _of(Tensor.floor_divide)
frac = _of(Tensor.frac)
gather = _of(Tensor.gather)
ge = _of(Tensor.ge)
gt = _of(Tensor.gt)
index_add = _of(Tensor.index_add)
index_select = _of(Tensor.index_select)
inner = _of(Tensor.inner)
isclose = _of(Tensor.isclose)
isfinite = _of(Tensor.isfinite)
isinf = _of(Tensor.isinf)
isnan = _of(Tensor.isnan)
kthvalue = _of(Tensor.kthvalue)
le = _of(Tensor.le)
lerp = _of(Tensor.lerp)
log = _of(Tensor.log)
log10 = _of(Tensor.log10)
log1p = _of(Tensor.log1p)
log2 = _of(Tensor.log2)
logaddexp = _of(Tensor.logaddexp)
logical_and = _of(Tensor.logical_and)
logical_not = _of(Tensor.logical_not)
logical_or = _of(Tensor.logical_or)
logical_xor = _of(Tensor.logical_xor)
logit = _of(Tensor.logit)
logsumexp = _of(Tensor.logsumexp)
lt = _of(Tensor.lt)
masked_fill = _of(Tensor.masked_fill)
masked_select = _of(Tensor.masked_select)
matmul = _of(Tensor.matmul)
mean = _of(Tensor.mean)
median = _of(Tensor.median)
mm = _of(Tensor.mm)
moveaxis = _of(Tensor.moveaxis)
movedim = _of(Tensor.movedim)
mul = _of(Tensor.mul)
mv = _of(Tensor.mv)
nan_to_num = _of(Tensor.nan_to_num)
nanmean = _of(Tensor.nanmean)
nansum = _of(Tensor.nansum)
narrow = _of(Tensor.narrow)
ne = _of(Tensor.ne)
neg = _of(Tensor.neg)
nonzero = _of(Tensor.nonzero)
norm = _of(Tensor.norm)
numel = _of(Tensor.numel)
outer = _of(Tensor.outer)
permute = _of(Tensor.permute)
prod = _of(Tensor.prod)
ravel = _of(Tensor.ravel)
reciprocal = _of(Tensor.reciprocal)
relu = _of(Tensor.relu)
repeat_interleave = _of(Tensor.repeat_interleave)
reshape = _of(Tensor.reshape)
roll = _of(Tensor.roll)
round = _of(Tensor.round)
rsqrt = _of(Tensor.rsqrt)
scatter = _of(Tensor.scatter)
scatter_add = _of(Tensor.scatter_add)
select = _of(Tensor.select)
sigmoid = _of(Tensor.sigmoid)
sign = _of(Tensor.sign)
sin = _of(Tensor.sin)
sinh = _of(Tensor.sinh)
sort = _of(Tensor.sort)
split = _of(Tensor.split)
sqrt = _of(Tensor.sqrt)
square = _of(Tensor.square)
squeeze = _of(Tensor.squeeze)
std = _of(Tensor.std)
sub = _of(Tensor.sub)
sum = _of(Tensor.sum)
swapaxes = _of(Tensor.swapaxes)
swapdims = _of(Tensor.swapdims)
t = _of(Tensor.t)
take_along_dim = _of(Tensor.take_along_dim)
tan = _of(Tensor.tan)
tanh = _of(Tensor.tanh)
tile = _of(Tensor.tile)
topk = _of(Tensor.topk)
trace = _of(Tensor.trace)
transpose = _of(Tensor.transpose)
tril = _of(Tensor.tril)
triu = _of(Tensor.triu)
trunc = _of(Tensor.trunc)
unbind = _of(Tensor.unbind)
unflatten = _of(Tensor.unflatten)
unique = _of(Tensor.unique)
unsqueeze = _of(Tensor.unsqueeze)
var = _of(Tensor.var)
vdot = _of(Tensor.vdot)


def max(input: Tensor, dim: Dims | Tensor = None, keepdim: bool = False) -> Tensor:
    """The largest value over `dim`: `Tensor.max`. For two tensors, the elementwise `maximum`.

    >>> sg.max(tensor([[1, 5], [7, 2]]), 1), sg.max(tensor([1, 5]), tensor([3, 4]))
    (tensor([5, 7]), tensor([3, 5]))
    """
    return elementwise("maximum", input, dim) if isinstance(dim, Value) else _max(input, dim, keepdim)


def min(input: Tensor, dim: Dims | Tensor = None, keepdim: bool = False) -> Tensor:
    """The smallest value over `dim`: `Tensor.min`. For two tensors, the elementwise `minimum`.

    >>> sg.min(tensor([[1, 5], [7, 2]]), 1), sg.min(tensor([1, 5]), tensor([3, 4]))
    (tensor([1, 2]), tensor([1, 4]))
    """
    return elementwise("minimum", input, dim) if isinstance(dim, Value) else _min(input, dim, keepdim)


def pow(input: Operand, exponent: Operand) -> Tensor:
    """`input` ** `exponent`, at least one of them a tensor: `Tensor.pow`.

    >>> sg.pow(2, tensor([1, 2, 3]))
    tensor([2, 4, 8])
    """
    return power("pow", input, exponent)


def remainder(input: Operand, other: Operand) -> Tensor:
    """`input` % `other`, at least one of them a tensor: `Tensor.remainder`.

    >>> remainder(7, tensor([2, 4]))
    tensor([1, 3])
    """
    return whole("remainder", input, other)


def std_mean(
    input: Tensor, dim: Dims = None, correction: float = 1, keepdim: bool = False, *, unbiased: bool | None = None
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`.

    >>> std_mean(tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return std(input, dim, correction, keepdim, unbiased=unbiased), mean(input, dim, keepdim)


def var_mean(
    input: Tensor, dim: Dims = None, correction: float = 1, keepdim: bool = False, *, unbiased: bool | None = None
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`.

    >>> var_mean(tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return var(input, dim, correction, keepdim, unbiased=unbiased), mean(input, dim, keepdim)


_max, _min = _of(Tensor.max), _of(Tensor.min)

__all__: list[str] = [
    "abs",
    "acos",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "asin",
    "atan",
    "atan2",
    "baddbmm",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "broadcast_to",
    "ceil",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "cos",
    "cosh",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "detach",
    "diag",
    "diag_embed",
    "diagonal",
    "diff",
    "div",
    "dot",
    "eq",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "frac",
    "gather",
    "ge",
    "gt",
    "index_add",
    "index_select",
    "inner",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "kthvalue",
    "le",
    "lerp",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "mean",
    "median",
    "min",
    "mm",
    "moveaxis",
    "movedim",
    "mul",
    "mv",
    "nan_to_num",
    "nanmean",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "nonzero",
    "norm",
    "numel",
    "outer",
    "permute",
    "pow",
    "prod",
    "ravel",
    "reciprocal",
    "relu",
    "remainder",
    "repeat_interleave",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "scatter",
    "scatter_add",
    "select",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "std",
    "std_mean",
    "sub",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take_along_dim",
    "tan",
    "tanh",
    "tile",
    "topk",
    "trace",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unbind",
    "unflatten",
    "unique",
    "unsqueeze",
    "var",
    "var_mean",
    "vdot",
]
