"""Random training programs, each run with its functions called and with its functions captured.

A program has a model, an optimizer, sometimes a schedule, and functions of them, such as a training step, a backward
pass or an evaluation. Its events call these functions with batches of a few shapes. Between the calls they switch
between training and evaluation, change rates, clip, drop and read gradients, freeze, replace and reload parameters, and
seed generators. After each event the test compares all visible state.
"""

from __future__ import annotations

import random

import numpy as np

import stackgrad.tensor as sg
from stackgrad import nn


class Net(nn.Module):
    """A small network with a parameter of one element, and perhaps a convolution, batch norm and dropout."""

    def __init__(self, draw: random.Random) -> None:
        weights = sg.Generator(draw.randrange(100))
        self.image = draw.random() < 0.4
        self.offset = nn.Parameter(sg.tensor(draw.choice([0.0, 0.5])))
        self.scale = nn.Parameter(sg.full((1,), 0.5))
        self.gain = draw.choice([1.0, 0.5])
        if self.image:
            self.conv = nn.Conv2d(1, 3, 3, padding=draw.choice([0, 1]), generator=weights)
            self.norm = nn.BatchNorm2d(3) if draw.random() < 0.6 else None
            side = 4 if self.conv.padding in (0, ((0, 0), (0, 0)), (0, 0)) else 6
            self.features = 3 * (side // 2) ** 2
        else:
            self.features = 6
        self.hidden = nn.Linear(self.features, 5, generator=weights)
        self.drop = nn.Dropout(0.4, generator=sg.Generator(7)) if draw.random() < 0.6 else None
        self.out = nn.Linear(5, 3, generator=weights)
        self.activation = draw.choice(["relu", "tanh", "sigmoid"])
        self.wide = draw.random() < 0.3
        self.nothing = draw.random() < 0.3

    def forward(self, x: sg.Tensor) -> sg.Tensor:
        if self.image:
            x = self.conv(x)
            if self.norm is not None:
                x = self.norm(x)
            x = sg.max_pool2d(x.relu(), (2, 2), (2, 2)).reshape(x.shape[0], self.features)
        h = getattr(self.hidden(x) * self.scale, self.activation)() * self.gain
        if self.drop is not None:
            h = self.drop(h)
        out = self.out(h) + self.offset
        if self.wide:
            out = out + self.offset.expand(1, 3).sum() * 0.1
        if self.nothing:
            out = out + (x[:0] * self.scale).sum()
        return out


class Program:
    """The program of a seed, with captured functions if `captured`."""

    def __init__(self, seed: int, captured: bool) -> None:
        self.draw = draw = random.Random(seed)
        self.values = np.random.default_rng(seed)
        self.model = Net(draw)
        self.optimizer = self._optimizer(draw)
        self.schedule = self._schedule(draw)
        self.total = sg.zeros(2)
        self.factor = 0.5
        self.saved = (self._copy_of_model(), self._copy_of_optimizer())
        wrap = sg.capture if captured else (lambda function: function)
        names = draw.sample(
            [
                "train",
                "scheduled",
                "switched",
                "backward",
                "accumulate",
                "update",
                "evaluate",
                "clip",
                "write",
                "drop",
                "measure",
                "noise",
                "second",
            ],
            draw.randint(2, 4),
        )
        if not {"train", "scheduled", "switched", "backward", "accumulate"} & set(names):
            names.append(draw.choice(["train", "backward"]))
        self.functions = {name: wrap(getattr(self, name)) for name in names}
        self.shapes = [draw.choice([(4, 0), (4, 1), (3, 0), (2, 2)]) for _ in range(draw.choice([1, 2, 2, 3]))]
        self.plan = [draw.choice(list(names)) for _ in range(draw.randint(2, 5))]
        self.loops = draw.randint(6, 9)
        self.between = [draw.choice(EVENTS) for _ in range(draw.choice([0, 1, 1, 2]))]

    def _optimizer(self, draw: random.Random) -> nn.Optimizer:
        parameters = list(self.model.parameters())
        decay = draw.choice([0.0, 0.01])
        return draw.choice(
            [
                lambda: nn.SGD(parameters, 0.1, weight_decay=decay),
                lambda: nn.SGD(parameters, 0.05, momentum=0.9, nesterov=draw.random() < 0.5),
                lambda: nn.Adam(parameters, 0.01, weight_decay=decay),
                lambda: nn.AdamW(parameters, 0.01, amsgrad=draw.random() < 0.5),
                lambda: nn.RMSprop(parameters, 0.01, weight_decay=decay, momentum=draw.choice([0.0, 0.5])),
                lambda: nn.Adagrad([{"params": parameters[:1], "lr": 0.05}, {"params": parameters[1:]}], 0.1),
            ]
        )()

    def _schedule(self, draw: random.Random) -> nn.Schedule:
        return draw.choice(
            [
                lambda: nn.OneCycle(self.optimizer, 0.1, 30),
                lambda: nn.Cosine(self.optimizer, 20),
                lambda: nn.StepDecay(self.optimizer, 2, 0.5),
                lambda: nn.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, 3),
            ]
        )()

    # --- its functions

    def train(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def scheduled(self, x, y):
        out = self.train(x, y)
        self.schedule.step()
        return out, {"twice": out * 2}

    def switched(self, x, y):
        self.model.train()
        self.optimizer.zero_grad()
        loss = nn.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.model.eval()
        return [loss.detach(), None, self.model(x).detach()]

    def backward(self, x, y):
        loss = nn.cross_entropy(self.model(x), y)
        loss.backward()
        return loss.detach()

    def accumulate(self, x, y):
        self.model.zero_grad()
        for _ in range(2):
            (nn.cross_entropy(self.model(x), y) * 0.5).backward()
        return self.model.scale.grad

    def update(self, x, y):
        self.optimizer.step()

    def evaluate(self, x, y):
        self.model.eval()
        with sg.no_grad():
            out = self.model(x)
        self.model.train()
        return out, out.argmax(1)

    def clip(self, x, y):
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
        nn.utils.clip_grad_value_(self.model.parameters(), 0.05)
        return norm

    def write(self, x, y):
        x.mul_(2.0)
        x[0] = 1.0
        self.total.add_(x.sum())
        return self.total, x

    def drop(self, x, y):
        self.optimizer.zero_grad()

    def measure(self, x, y):
        return x.sum(), x.T.sum(0) if x.ndim == 2 else x.mean((0, 1)), x.expand(2, *x.shape).sum(0) * self.factor

    def noise(self, x, y):
        own = sg.Generator(3)
        return sg.dropout(x, 0.3, own), x + sg.rand(*x.shape), sg.randn(2, generator=own)

    def second(self, x, y):
        w = self.model.scale.detach().clone().requires_grad_()
        (first,) = sg.grad((x * w).exp().mean(), w, create_graph=True)
        (first * first).sum().backward()
        return w.grad, first.detach()

    # --- what happens between

    def event(self, name: str) -> None:
        getattr(self, f"do_{name}")()

    def do_eval(self):
        self.model.eval()

    def do_train(self):
        self.model.train()

    def do_flip(self):
        self.model.train(not self.model.training)

    def do_rate(self):
        self.optimizer.lr = self.draw.choice([0.01, 0.02, 0.03])

    def do_group(self):
        group = self.draw.choice(self.optimizer.param_groups)
        group["weight_decay" if self.draw.random() < 0.5 else "lr"] = self.draw.choice([0.01, 0.02])

    def do_schedule(self):
        self.schedule.step()

    def do_zero(self):
        self.optimizer.zero_grad()

    def do_zero_model(self):
        self.model.zero_grad()

    def do_scale(self):
        for p in self.model.parameters():
            if p.grad is not None:
                p.grad.mul_(0.5)

    def do_replace_gradient(self):
        p = self.draw.choice(list(self.model.parameters()))
        p.grad = sg.ones(*p.shape)

    def do_step(self):
        self.optimizer.step()

    def do_read(self):
        self.kept = [p.grad for p in self.model.parameters()]

    def do_freeze(self):
        p = self.draw.choice(list(self.model.parameters()))
        p.grad = None
        p.requires_grad_(not p.requires_grad)

    def do_replace(self):
        self.model.scale = nn.Parameter(sg.full((1,), 0.7))

    def do_reload(self):
        self.model.load_state_dict(self.saved[0])

    def do_reload_optimizer(self):
        self.optimizer.load_state_dict(self.saved[1])

    def do_save(self):
        self.saved = (self._copy_of_model(), self._copy_of_optimizer())

    def do_seed(self):
        sg.manual_seed(self.draw.randrange(5))

    def do_gain(self):
        self.model.gain = self.draw.choice([1.0, 0.5])

    def do_factor(self):
        self.factor = self.draw.choice([1.0, 0.5])

    def do_write_parameter(self):
        with sg.no_grad():
            self.model.offset.add_(0.1)
            self.model.out.weight.mul_(0.9)

    def _copy_of_model(self):
        return {name: x.clone() for name, x in self.model.state_dict().items()}

    def _copy_of_optimizer(self):
        state = self.optimizer.state_dict()
        return {**state, "tensors": {name: x.clone() for name, x in state["tensors"].items()}}

    # --- running it

    def batch(self, shape: tuple[int, int]) -> tuple[sg.Tensor, sg.Tensor]:
        n, how = shape
        size = (n, 1, 6, 6) if self.model.image else (n, 6)
        x = sg.tensor(self.values.standard_normal(size).astype(np.float32))
        if how == 1:
            x = x.transpose(-1, -2).clone().transpose(-1, -2)
        elif how == 2:
            x = sg.tensor(self.values.standard_normal((n, *[2 * extent for extent in size[1:]])).astype(np.float32))
            x = x[(slice(None), *[slice(None, None, 2)] * (len(size) - 1))]
        return x, sg.tensor(self.values.integers(0, 3, n))

    def run(self):
        """What can be seen after each event."""
        sg.manual_seed(11)
        for _ in range(self.loops):
            for name in self.plan:
                x, y = self.batch(self.draw.choice(self.shapes))
                results = self.functions[name](x, y)
                yield name, seen((results, x, y, self.state()))
            for name in self.between:
                if self.draw.random() < 0.6:
                    self.event(name)
                    yield name, seen((self.state(), getattr(self, "kept", None)))

    def state(self):
        model = self.model
        return (
            dict(model.named_parameters()),
            {name: p.grad for name, p in model.named_parameters()} if self.draw.random() < 0.5 else None,
            dict(model.named_buffers()),
            self.optimizer.state_dict(),
            self.schedule.steps,
            sg.default_generator().call,
            model.training,
            self.total,
        )


EVENTS = sorted(name.removeprefix("do_") for name in vars(Program) if name.startswith("do_"))


def seen(value):
    """The value with each tensor as its shape, dtype and bytes."""
    if isinstance(value, sg.Tensor):
        return value.shape, str(value.dtype), value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {key: seen(x) for key, x in value.items()}
    if isinstance(value, (tuple, list)):
        return [seen(x) for x in value]
    return value
