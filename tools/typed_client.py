"""A program like those of users, with fifteen mistakes that type checkers must find. It is never run.

Each line with a mistake has comments with the errors from mypy and pyright. `nox -s types` and `nox -s types-client`
fail if a checker finds another error, or none, since an unnecessary comment is an error too.
"""

from __future__ import annotations

from pathlib import Path

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor import Context, Function, Generator, Tensor, capture, fuse, no_grad, set_default_backend, tensor


class Net(nn.Module):
    """A small network."""

    def __init__(self, generator: Generator) -> None:
        self.conv = nn.Conv2d(1, 6, 5, padding=2, activation="relu", generator=generator)
        self.hidden = nn.Linear(1176, 84, generator=generator)
        self.out = nn.Linear("84", 10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.norm = nn.BatchNorm1d()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.conv(images), 2)
        return self.out(self.norm(self.hidden(x.reshape(len(x), -1))))

    @capture
    def classify(self, images: Tensor) -> Tensor:
        """The class of each image."""
        return self(images).argmax(1)


class Square(Function):
    """x times x."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, times: float) -> Tensor:
        ctx.save(x)
        ctx.times = times
        return x * x * times

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (x,) = ctx.saved
        times: float = ctx.times
        return g * x * (2 * times)


@fuse
def swish(x: Tensor, beta: float) -> Tensor:
    """One kernel."""
    return x * (x * beta).sigmoid()


model = Net(Generator(0))
optimizer = nn.Adam(model.parameters(), lr=1e-3)
schedule = nn.Cosine(optimizer, total_steps=100)
other = nn.SGD(model, lr=0.1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@capture
def step(images: Tensor, labels: Tensor) -> Tensor:
    """One step of training."""
    optimizer.zero_grad()
    loss = nn.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.detach()


images, labels = sg.rand(64, 1, 28, 28), sg.randint(0, 10, (64,))
loss: float = step(images, labels)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
print(step(images, labels).item())
step(images)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
step(images, [3, 1, 4])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
print(model.classify(images).tolist(), model.classify(images=images).shape)
model.classify(images, labels)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
optimizer.stepp()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

x = tensor([1.0, 2.0], requires_grad=True)
y = swish(x, 2.0) + Square.apply(x, 0.5)
swish(x, "2.0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
print(x + "1.0")  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
y.sum(dim="rows").backward()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
print(x.grad.item())  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
if x.grad is not None:
    print(x.grad.item(), x.shape[0], x.dtype, x.backend)
print(x.shapes)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

with no_grad():
    classes = sg.one_hot(labels, 10).argmax(1)
    rows = sg.cat([sg.eye(2), sg.zeros_like(sg.eye(2))])
    product = sg.einsum("ij,kj->ik", rows, sg.as_tensor(rows)).exp() + sg.exp(rows.sum())
set_default_backend(0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

nn.save(Path("model.safetensors"), model, {"accuracy": "0.99"})
nn.save(model, "model.safetensors")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
model.load_state_dict(nn.load("model.safetensors"))
