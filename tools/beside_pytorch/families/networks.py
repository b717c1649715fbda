"""Modules, optimizers, schedules, and training with all of them, with and without capture."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import Shown
from ..draw import FLOATS, Array, Draw
from ..sides import Side, Tensor


def _optimizer(draw: Draw, lib: Side, params: list[Tensor], least_eps: float = 1e-8) -> Any:
    """A random optimizer. `least_eps` limits Adam's step for a gradient that consists only of rounding errors."""
    name = draw.choice(("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"))
    options: dict[str, Any] = {"lr": draw.choice((0.1, 0.01, 0.05))}
    if draw.chance(0.5):
        options["weight_decay"] = draw.choice((0.0, 0.01, 0.3))
    if draw.chance(0.2):
        options["maximize"] = True
    if name != "SGD":
        options["eps"] = max(draw.choice((1e-8, 1e-3)), least_eps)
    if name == "SGD":
        if draw.chance(0.6):
            options["momentum"] = draw.choice((0.5, 0.9))
            options["nesterov"] = draw.chance(0.5)
            if not options["nesterov"] and draw.chance(0.5):
                options["dampening"] = draw.choice((0.25, 1.0))
    elif name in ("Adam", "AdamW"):
        if draw.chance(0.5):
            options["betas"] = (draw.choice((0.0, 0.8, 0.9)), draw.choice((0.0, 0.99, 0.999)))
        options["amsgrad"] = draw.chance(0.3)
    elif name == "RMSprop":
        if draw.chance(0.5):
            options["alpha"] = draw.choice((0.0, 0.9, 0.99))
        if draw.chance(0.5):
            options["momentum"] = draw.choice((0.5, 0.9))
        if draw.chance(0.3):  # with a small eps, rounding errors decide where the variance is 0
            options["centered"], options["eps"], options["alpha"] = True, 0.1, 0.9
    else:
        options["lr_decay"] = draw.choice((0.0, 0.1))
        options["initial_accumulator_value"] = draw.choice((0.0, 0.5))
    if len(params) > 1 and draw.chance(0.3):
        groups = [{"params": params[:1], "lr": 0.02}, {"params": params[1:]}]
        return lib.optimizer(name, groups, **options)
    return lib.optimizer(name, params, **options)


def optimizers(draw: Draw, lib: Side, show: Shown) -> None:
    """Steps with random gradients, some of them missing; changed rates; state saved and loaded."""
    dtype = draw.choice(FLOATS)
    shapes = [draw.shape(3, empty=0.05) for _ in range(draw.integer(1, 3))]
    params = [lib.tensor(draw.array(shape, dtype, laid=False), requires_grad=True) for shape in shapes]
    state = draw.random.bit_generator.state
    optimizer = _optimizer(draw, lib, params)
    for turn in range(draw.integer(1, 6)):
        optimizer.zero_grad()
        for p in params:
            if draw.chance(0.85):
                grad = draw.array(tuple(p.shape), dtype, laid=False)
                p.grad = lib.tensor(grad * np.asarray(draw.choice((1, 1, 1, 0, 1e-3, 1e3)), dtype))
        optimizer.step()
        if draw.chance(0.2):
            lib.set_rate(optimizer, draw.choice((0.0, 0.02, 0.3)))
        if draw.chance(0.2):
            now, again = draw.random.bit_generator.state, Draw("again", 0)
            again.random.bit_generator.state = state
            other = _optimizer(again, lib, params)
            other.load_state_dict(optimizer.state_dict())
            optimizer = other
            draw.random.bit_generator.state = now
        for i, p in enumerate(params):
            show(f"parameter {i} after {turn}", lib.array(p))


def schedules(draw: Draw, lib: Side, show: Shown) -> None:
    """The rates of each schedule at each step."""
    w = lib.tensor(np.ones(2, np.float64), requires_grad=True)
    optimizer = lib.optimizer("SGD", [w], lr=draw.choice((1.0, 0.1, 0.03)))
    steps = draw.integer(2, 20)
    gamma, least, highest = draw.choice((0.1, 0.5, 0.9)), draw.choice((0.0, 0.01)), draw.choice((0.1, 1.0))
    all_options: dict[str, dict[str, Any]] = {
        "StepDecay": {"every": draw.integer(1, 5), "factor": gamma},
        "Cosine": {"total_steps": steps, "min_lr": least},
        "OneCycle": {"max_lr": highest, "total_steps": steps, "warmup": draw.choice((0.1, 0.3, 0.5))},
        "StepLR": {"step_size": draw.integer(1, 5), "gamma": gamma},
        "MultiStepLR": {"milestones": [draw.integer(0, 9), draw.integer(0, 9)], "gamma": gamma},
        "ExponentialLR": {"gamma": gamma},
        "LinearLR": {"start_factor": gamma, "total_iters": draw.integer(1, 9)},
        "LambdaLR": {"lr_lambda": lambda step: gamma / (1 + step)},
        "CosineAnnealingLR": {"T_max": draw.integer(1, 9), "eta_min": least},
        "CosineAnnealingWarmRestarts": {"T_0": draw.integer(1, 5), "T_mult": draw.integer(1, 3), "eta_min": least},
    }
    name = draw.choice(tuple(all_options))
    options = all_options[name]
    schedule = lib.schedule(name, optimizer, **options)
    # PyTorch's end after their steps; ours keep the last rate, as the page says.
    ends = name in ("Cosine", "OneCycle")
    for step in range(steps if ends else 2 * steps):
        show(f"rate {step} of {name}", float(lib.rate(schedule)))
        w.grad = lib.tensor(np.ones(2, np.float64))
        optimizer.step()
        if step < steps - 1 or not ends:
            schedule.step()
    show("w", lib.array(w))


def _block(draw: Draw, lib: Side, channels: int) -> tuple[list[Any], int]:
    """Layers for images, and the number of channels after them."""
    nn = lib.nn
    how = draw.choice(("conv", "conv", "relu", "norm", "max", "avg", "tanh", "dropout"))
    if how == "conv":
        outs = draw.choice((2, 3, 4))
        return [nn.Conv2d(channels, outs, draw.choice((1, 3)), padding=1, bias=draw.chance(0.7))], outs
    if how == "norm":
        return [nn.BatchNorm2d(channels)], channels
    made = {
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "max": lambda: nn.MaxPool2d(2),
        "avg": lambda: nn.AvgPool2d(2),
        "dropout": lambda: nn.Dropout(0.0),
    }[how]()
    return [made], channels


def _network(draw: Draw, lib: Side) -> tuple[Any, tuple[int, ...]]:
    """A random Sequential that ends in 3 classes, and the shape of its input."""
    nn = lib.nn
    if draw.chance(0.5):
        width = draw.integer(1, 5)
        layers: list[Any] = []
        features = width
        for _ in range(draw.integer(0, 2)):
            hidden = draw.integer(1, 6)
            layers.append(nn.Linear(features, hidden, bias=draw.chance(0.8)))
            features = hidden
            if draw.chance(0.3):
                layers.append(nn.BatchNorm1d(features))
            layers.append(draw.choice((nn.ReLU, nn.Tanh, nn.Sigmoid))())
        model = nn.Sequential(*layers, nn.Linear(features, 3))
        shape: tuple[int, ...] = (4, width)
    else:
        channels = draw.integer(1, 2)
        shape = (4, channels, 6, 6)
        layers, pools = [], 0
        for _ in range(draw.integer(1, 4)):
            more, channels = _block(draw, lib, channels)
            if isinstance(more[0], (nn.MaxPool2d, nn.AvgPool2d)):
                pools += 1
                if pools > 1:
                    continue
            layers += more
        probe = lib.module(nn.Sequential(*layers)).eval()
        with lib.no_grad():
            features = int(np.prod(tuple(probe(lib.tensor(np.zeros(shape, np.float64))).shape[1:])))
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3))
    return _with_values(draw, lib, lib.module(model)), shape


def _with_values(draw: Draw, lib: Side, model: Any) -> Any:
    with lib.no_grad():
        for p in model.parameters():
            p.copy_(lib.tensor(draw.array(tuple(p.shape), "float64", laid=False) * 0.5))
    return model


def _state(lib: Side, model: Any) -> dict[str, Array]:
    lib_state = model.state_dict()
    return {name: lib.array(x) for name, x in lib_state.items() if not name.endswith("num_batches_tracked")}


def modules(draw: Draw, lib: Side, show: Shown) -> None:
    """A random network: names, outputs in training and evaluation, gradients, running statistics, and loading."""
    model, shape = _network(draw, lib)
    state = _state(lib, model)
    show("names", list(state))
    show("parameters", [(name, tuple(p.shape)) for name, p in model.named_parameters()])
    for turn in range(draw.integer(1, 4)):
        model.train(draw.chance(0.6))
        show(f"training {turn}", [bool(m.training) for m in model.children()])
        x = lib.tensor(draw.array(shape, "float64", laid=False), requires_grad=True)
        out = model(x)
        show(f"out {turn}", lib.array(out))
        model.zero_grad()
        lib.F.cross_entropy(out, lib.tensor(np.arange(4) % 3)).backward()
        show(f"gradient {turn}", lib.array(x.grad))
        for name, p in model.named_parameters():
            show(f"gradient {turn} of {name}", lib.array(p.grad))
        for name, array in _state(lib, model).items():
            show(f"state {turn} {name}", array)
    model.load_state_dict({name: lib.tensor(array) for name, array in state.items()})
    show("loaded", lib.array(model.eval()(lib.tensor(np.ones(shape, np.float64)))))


def training(draw: Draw, lib: Side, show: Shown) -> None:
    """A training loop, whose step is often captured."""
    captured = draw.chance(0.6)
    model, shape = _network(draw, lib)
    params = list(model.parameters())
    optimizer = _optimizer(draw, lib, params, 1e-2)
    schedule = lib.schedule("StepDecay", optimizer, every=2, factor=0.5) if draw.chance(0.4) else None
    clipped, accumulated = draw.chance(0.3), draw.chance(0.3)
    loss_of = draw.choice(("cross_entropy", "mse", "nll"))

    def loss(x: Tensor, y: Tensor) -> Tensor:
        out = model(x)
        if loss_of == "mse":
            return lib.F.mse_loss(out, lib.cast(y, "float64").unsqueeze(1).expand(4, 3))
        if loss_of == "nll":
            return lib.F.nll_loss(lib.F.log_softmax(out, 1), y)
        return lib.F.cross_entropy(out, y)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        first = loss(x, y)
        first.backward()
        if accumulated:
            loss(x * 0.5, y).backward()
        if clipped:
            with lib.no_grad():
                for p in params:
                    p.grad.mul_(0.5)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        return first.detach()

    run = lib.captured(step) if captured else step
    for turn in range(draw.integer(3, 6)):
        x = lib.tensor(draw.array(shape, "float64", laid=False))
        y = lib.tensor(np.asarray(draw.random.integers(0, 3, 4), np.int64))
        loss_now = lib.array(run(x, y))
        show.coarse |= bool(loss_now > 10)  # a run that diverges multiplies its rounding errors
        show(f"loss {turn}", loss_now)
        if not loss_now < 1e30:
            return  # if sums overflow, their order decides between infinity and NaN
        if draw.chance(0.3):
            lib.set_rate(optimizer, 0.05) if schedule is None else None
    for name, array in _state(lib, model).items():
        show(f"state {name}", array)


FAMILIES = ()
PROGRAMS = (optimizers, schedules, modules, training)
