"""The same workloads in PyTorch, and the driver's copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackgrad.kernels.cuda._driver import SIMULATED, device
from stackgrad.tensor import get_backend

Work = Callable[[], object]
Steps = dict[str, tuple[Work | None, float]]
"""Training steps by name, each with the ratio to its speed that the project aims for."""


def copy_work(x: Any, size: int) -> Work:
    """A copy of the array `x` of `size` bytes by the driver, or in the simulator by the backend."""
    if SIMULATED:
        return lambda: get_backend("cuda").copy(x)
    from cuda.bindings import driver

    target = get_backend("cuda").empty(x.shape, x.dtype)
    to, source = (device().address(a.owner.memory) for a in (target, x))

    def copy() -> None:
        (status,) = driver.cuMemcpyDtoDAsync(to, source, size, device().stream_handle)
        if int(status):
            raise RuntimeError(f"a copy from device to device: {status!r}")
        target.shape  # noqa: B018 - keeps the array alive

    return copy


class Torch:
    """PyTorch's workloads on the GPU, in float32 without TF32."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True

    def _array(self, *shape: int) -> Any:
        return self.torch.randn(*shape, device="cuda")

    def matmul(self, n: int) -> Work:
        a, b = self._array(n, n), self._array(n, n)
        return lambda: self.torch.matmul(a, b)

    def convolution(self, shape: tuple[int, ...], part: str) -> dict[str, Work]:
        """The algorithm that cuDNN finds fastest, for channels first and for channels last."""
        works = {}
        for layout in ("contiguous_format", "channels_last"):
            memory = getattr(self.torch, layout)
            x, g = (self._array(*shape).to(memory_format=memory) for _ in range(2))
            weight = self._array(shape[1], shape[1], 3, 3).to(memory_format=memory)
            name = "channels first" if layout == "contiguous_format" else "channels last"
            works[f"cuDNN, {name}"] = self._convolution(part, x, weight, g)
        return works

    def _convolution(self, part: str, x: Any, weight: Any, g: Any) -> Work:
        grads = self.torch.nn.grad
        if part == "forward":
            return lambda: self.torch.nn.functional.conv2d(x, weight, padding=1)
        if part == "gradient of the input":
            return lambda: grads.conv2d_input(x.shape, weight, g, padding=1)
        return lambda: grads.conv2d_weight(x, weight.shape, g, padding=1)

    def kernels(self, work: Work) -> str:
        """The names of the kernels that it launches after it has chosen an algorithm, if the profiler works.

        Measure before you call this: a profiler that was used once may make every launch slower.
        """
        profiler = self.torch.profiler
        work()
        try:
            with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as profile:
                work()
                self.torch.cuda.synchronize()
            return ", ".join(sorted({event.key[:60] for event in profile.key_averages()})) or "unknown"
        except RuntimeError:
            return "unknown"

    def training(self, batch: int) -> Steps:
        """A step of AdamW on lenet5, eager and as a CUDA graph."""
        torch, nn = self.torch, self.torch.nn
        images, labels = self._array(batch, 1, 28, 28), torch.randint(0, 10, (batch,), device="cuda")

        def parts(capturable: bool) -> Work:
            model = nn.Sequential(
                *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
                *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
            ).cuda()
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01, capturable=capturable)

            def step() -> None:
                optimizer.zero_grad(set_to_none=True)
                nn.functional.cross_entropy(model(images), labels).backward()
                optimizer.step()

            return step

        return {"PyTorch, eager": (parts(False), 3.0), "PyTorch, graph": (self._graph(parts(True)), 1.0)}

    def _graph(self, step: Work) -> Work:
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()

        def replay() -> object:
            return graph.replay()

        return replay


def load() -> Torch | None:
    """PyTorch, if it can be imported and sees the GPU."""
    try:
        import torch
    except Exception:
        return None
    return Torch(torch) if torch.cuda.is_available() else None


def wait() -> None:
    """Wait for PyTorch's work."""
    import torch

    torch.cuda.synchronize()
