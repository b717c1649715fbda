"""A training step of each layer and loss: captured and called steps are bitwise equal."""

from collections.abc import Callable
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional
CALLS = 4


class Wrapped(nn.Module):
    """A layer with its input in the form that it needs."""

    def __init__(self, layer: nn.Module, call: Callable[[Any, sg.Tensor], sg.Tensor]) -> None:
        self.layer = layer
        self.scale = nn.Parameter(sg.full((), 0.5))
        self._call = call

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        return self._call(self.layer, input * self.scale)


def _classes(x: sg.Tensor) -> sg.Tensor:
    return (x.detach().sum(-1) > 0).astype("int64")


LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, sg.Tensor], sg.Tensor], tuple[int, ...]]] = {
    "activations": (
        lambda: nn.Sequential(
            *(nn.GELU(), nn.SiLU(), nn.Mish(), nn.LeakyReLU(0.1, inplace=True), nn.ELU()),
            *(nn.Softplus(), nn.LogSigmoid(), nn.Hardtanh(-0.9, 0.9)),
        ),
        lambda m, x: m(x),
        (3, 4),
    ),
    "norms": (lambda: nn.Sequential(nn.LayerNorm(4), nn.GroupNorm(2, 4)), lambda m, x: m(x), (3, 4)),
    "dropouts": (
        lambda: nn.Sequential(nn.Dropout1d(0.3, generator=sg.Generator(1)), nn.Dropout(0.2)),
        lambda m, x: m(x),
        (3, 4, 2),
    ),
    "windows": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular", generator=sg.Generator(0)),
            nn.ConvTranspose1d(4, 4, 3, 2, generator=sg.Generator(1)),
            nn.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            nn.MaxPool1d(2, 1, dilation=2),
            nn.Upsample(scale_factor=1.5, mode="linear"),
            nn.AdaptiveAvgPool1d(2),
        ),
        lambda m, x: m(x),
        (3, 4, 8),
    ),
    "recurrent": (
        lambda: nn.ModuleList(
            [
                nn.LSTM(4, 3, 2, dropout=0.2, bidirectional=True, generator=sg.Generator(0)),
                nn.GRU(6, 3, batch_first=True, generator=sg.Generator(1)),
                nn.RNN(3, 2, nonlinearity="relu", generator=sg.Generator(2)),
                nn.LSTMCell(2, 2, generator=sg.Generator(3)),
            ]
        ),
        lambda m, x: m[3](m[2](m[1](m[0](x)[0])[0])[0][-1])[0],
        (3, 2, 4),
    ),
    "embedding": (lambda: nn.Embedding(2, 4, 0), lambda m, x: m(_classes(x)) * x, (3, 4)),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, 0.1, generator=sg.Generator(0)),
        lambda m, x: m(x, x, x, is_causal=True)[0],
        (3, 2, 4),
    ),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.1, generator=sg.Generator(0)),
        lambda m, x: m(x, key(x)),
        (3, 2, 4),
    ),
    "losses": (
        lambda: nn.Identity(),
        lambda m, x: sum(
            loss(x.sigmoid(), target)
            for target in [x.detach().sigmoid() * 0.9]
            for loss in (nn.L1Loss(), nn.HuberLoss(), nn.SmoothL1Loss(), nn.BCELoss(), nn.KLDivLoss())
        ),
        (3, 4),
    ),
    "logits": (
        lambda: nn.BCEWithLogitsLoss(reduction="sum"),
        lambda m, x: m(x, x.detach().sigmoid()),
        (3, 4),
    ),
    "classes": (
        lambda: nn.CrossEntropyLoss(sg.tensor([1.0, 2.0, 1.0, 0.5]), ignore_index=1, label_smoothing=0.1),
        lambda m, x: m(x, _classes(x)),
        (3, 4),
    ),
}


def key(x: sg.Tensor) -> sg.Tensor:
    return sg.arange(x.shape[0], backend=x.backend) > sg.arange(x.shape[0], backend=x.backend).unsqueeze(1)


def run(name: str, captured: bool) -> list[Any]:
    make, call, shape = LAYERS[name]
    sg.manual_seed(5)
    net = Wrapped(make(), call).to("cpu")
    optimizer = nn.Adam(net.parameters(), 0.01)

    def step(x: sg.Tensor) -> sg.Tensor:
        optimizer.zero_grad()
        out = net(x)
        (out * out).mean().backward()
        optimizer.step()
        return out.detach()

    function = sg.capture(step) if captured else step
    seen = []
    for i in range(CALLS):
        out = function(sg.randn(*shape, generator=sg.Generator(i), backend="cpu"))
        seen.append((out.tolist(), [p.tolist() for p in net.parameters()]))
    return seen


@pytest.mark.parametrize("name", LAYERS)
def test_a_replayed_step_equals_a_called_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "cpu")
    assert run(name, captured=True) == run(name, captured=False)
