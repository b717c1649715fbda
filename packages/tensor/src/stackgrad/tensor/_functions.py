"""The methods of a tensor as functions, as in PyTorch: exp(x) is x.exp().

The package's `__getattr__` imports them on first use, as `stackgrad.tensor.exp`, along with the other modules that it
lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ._errors import not_a_tensor
from ._tensor import Tensor
from ._value import Value

P = ParamSpec("P")
R = TypeVar("R")


def of_method(method: Callable[P, R]) -> Callable[P, R]:
    """A function that calls the method on its first argument, a tensor named `input`."""
    name = method.__name__

    @wraps(method)
    def function(input: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Value):
            raise not_a_tensor(name, input)
        return method(input, *args, **kwargs)  # type: ignore[arg-type]

    function.__module__ = __name__
    return function  # type: ignore[return-value]


abs = of_method(Tensor.abs)
acos = of_method(Tensor.acos)
add = of_method(Tensor.add)
addcdiv = of_method(Tensor.addcdiv)
addcmul = of_method(Tensor.addcmul)
addmm = of_method(Tensor.addmm)
all = of_method(Tensor.all)
allclose = of_method(Tensor.allclose)
amax = of_method(Tensor.amax)
amin = of_method(Tensor.amin)
any = of_method(Tensor.any)
argmax = of_method(Tensor.argmax)
argmin = of_method(Tensor.argmin)
argsort = of_method(Tensor.argsort)
argwhere = of_method(Tensor.argwhere)
asin = of_method(Tensor.asin)
atan = of_method(Tensor.atan)
atan2 = of_method(Tensor.atan2)
baddbmm = of_method(Tensor.baddbmm)
bitwise_and = of_method(Tensor.bitwise_and)
bitwise_not = of_method(Tensor.bitwise_not)
bitwise_or = of_method(Tensor.bitwise_or)
bitwise_xor = of_method(Tensor.bitwise_xor)
bmm = of_method(Tensor.bmm)
broadcast_to = of_method(Tensor.broadcast_to)
ceil = of_method(Tensor.ceil)
chunk = of_method(Tensor.chunk)
clamp = of_method(Tensor.clamp)
clamp_max = of_method(Tensor.clamp_max)
clamp_min = of_method(Tensor.clamp_min)
clip = of_method(Tensor.clip)
clone = of_method(Tensor.clone)
cos = of_method(Tensor.cos)
cosh = of_method(Tensor.cosh)
count_nonzero = of_method(Tensor.count_nonzero)
cumprod = of_method(Tensor.cumprod)
cumsum = of_method(Tensor.cumsum)
detach = of_method(Tensor.detach)
diag = of_method(Tensor.diag)
diag_embed = of_method(Tensor.diag_embed)
diagonal = of_method(Tensor.diagonal)
diff = of_method(Tensor.diff)
div = of_method(Tensor.div)
dot = of_method(Tensor.dot)
eq = of_method(Tensor.eq)
equal = of_method(Tensor.equal)
erf = of_method(Tensor.erf)
exp = of_method(Tensor.exp)
exp2 = of_method(Tensor.exp2)
expm1 = of_method(Tensor.expm1)
flatten = of_method(Tensor.flatten)
flip = of_method(Tensor.flip)
fliplr = of_method(Tensor.fliplr)
flipud = of_method(Tensor.flipud)
floor = of_method(Tensor.floor)
floor_divide = of_method(Tensor.floor_divide)
frac = of_method(Tensor.frac)
gather = of_method(Tensor.gather)
ge = of_method(Tensor.ge)
gt = of_method(Tensor.gt)
index_add = of_method(Tensor.index_add)
index_select = of_method(Tensor.index_select)
inner = of_method(Tensor.inner)
isclose = of_method(Tensor.isclose)
isfinite = of_method(Tensor.isfinite)
isinf = of_method(Tensor.isinf)
isnan = of_method(Tensor.isnan)
kthvalue = of_method(Tensor.kthvalue)
le = of_method(Tensor.le)
lerp = of_method(Tensor.lerp)
log = of_method(Tensor.log)
log10 = of_method(Tensor.log10)
log1p = of_method(Tensor.log1p)
log2 = of_method(Tensor.log2)
logaddexp = of_method(Tensor.logaddexp)
logical_and = of_method(Tensor.logical_and)
logical_not = of_method(Tensor.logical_not)
logical_or = of_method(Tensor.logical_or)
logical_xor = of_method(Tensor.logical_xor)
logit = of_method(Tensor.logit)
logsumexp = of_method(Tensor.logsumexp)
lt = of_method(Tensor.lt)
masked_fill = of_method(Tensor.masked_fill)
masked_select = of_method(Tensor.masked_select)
matmul = of_method(Tensor.matmul)
mean = of_method(Tensor.mean)
median = of_method(Tensor.median)
mm = of_method(Tensor.mm)
moveaxis = of_method(Tensor.moveaxis)
movedim = of_method(Tensor.movedim)
mul = of_method(Tensor.mul)
mv = of_method(Tensor.mv)
nan_to_num = of_method(Tensor.nan_to_num)
nanmean = of_method(Tensor.nanmean)
nansum = of_method(Tensor.nansum)
narrow = of_method(Tensor.narrow)
ne = of_method(Tensor.ne)
neg = of_method(Tensor.neg)
nonzero = of_method(Tensor.nonzero)
norm = of_method(Tensor.norm)
numel = of_method(Tensor.numel)
outer = of_method(Tensor.outer)
permute = of_method(Tensor.permute)
prod = of_method(Tensor.prod)
ravel = of_method(Tensor.ravel)
reciprocal = of_method(Tensor.reciprocal)
relu = of_method(Tensor.relu)
repeat_interleave = of_method(Tensor.repeat_interleave)
reshape = of_method(Tensor.reshape)
roll = of_method(Tensor.roll)
round = of_method(Tensor.round)
rsqrt = of_method(Tensor.rsqrt)
scatter = of_method(Tensor.scatter)
scatter_add = of_method(Tensor.scatter_add)
select = of_method(Tensor.select)
sigmoid = of_method(Tensor.sigmoid)
sign = of_method(Tensor.sign)
sin = of_method(Tensor.sin)
sinh = of_method(Tensor.sinh)
sort = of_method(Tensor.sort)
split = of_method(Tensor.split)
sqrt = of_method(Tensor.sqrt)
square = of_method(Tensor.square)
squeeze = of_method(Tensor.squeeze)
std = of_method(Tensor.std)
sub = of_method(Tensor.sub)
sum = of_method(Tensor.sum)
swapaxes = of_method(Tensor.swapaxes)
swapdims = of_method(Tensor.swapdims)
t = of_method(Tensor.t)
take_along_dim = of_method(Tensor.take_along_dim)
tan = of_method(Tensor.tan)
tanh = of_method(Tensor.tanh)
tile = of_method(Tensor.tile)
topk = of_method(Tensor.topk)
trace = of_method(Tensor.trace)
transpose = of_method(Tensor.transpose)
tril = of_method(Tensor.tril)
triu = of_method(Tensor.triu)
trunc = of_method(Tensor.trunc)
unbind = of_method(Tensor.unbind)
unflatten = of_method(Tensor.unflatten)
unique = of_method(Tensor.unique)
unsqueeze = of_method(Tensor.unsqueeze)
var = of_method(Tensor.var)
vdot = of_method(Tensor.vdot)

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
    "mean",
    "median",
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
    "prod",
    "ravel",
    "reciprocal",
    "relu",
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
    "vdot",
]
