"""MAML on sines: the inner step is part of the graph (create_graph), the outer loss differentiates through it."""

from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

rng = np.random.default_rng(15)


class SineModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(1, 24)
        self.fc2 = nn.Linear(24, 24)
        self.fc3 = nn.Linear(24, 1)

    def forward(self, x, params=None):
        if params is None:
            params = OrderedDict(self.named_parameters())
        x = F.relu(F.linear(x, params["fc1.weight"], params["fc1.bias"]))
        x = torch.tanh(F.linear(x, params["fc2.weight"], bias=params["fc2.bias"]))
        return F.linear(x, params["fc3.weight"], params["fc3.bias"])


def sample_task():
    amplitude, phase = rng.uniform(0.5, 2.0), rng.uniform(0, np.pi)

    def batch(k):
        x = rng.uniform(-3, 3, (k, 1))
        return torch.from_numpy(x).float(), torch.from_numpy(amplitude * np.sin(x - phase)).float()

    return batch


def inner_update(model, params, x, y, lr, create_graph=True):
    loss = F.mse_loss(model(x, params), y)
    grads = torch.autograd.grad(loss, params.values(), create_graph=create_graph)
    return OrderedDict((name, p - lr * g) for (name, p), g in zip(params.items(), grads, strict=True))


model = SineModel()
state_dict = model.state_dict()
for name in state_dict:
    fan_in = state_dict[name].shape[-1]
    state_dict[name] = torch.from_numpy(rng.normal(0, 1 / np.sqrt(fan_in), state_dict[name].shape)).float()
model.load_state_dict(state_dict, strict=True)
meta_optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

losses = []
for iteration in range(40):
    meta_loss = torch.tensor(0.0)
    for _ in range(4):
        task = sample_task()
        x_s, y_s = task(10)
        x_q, y_q = task(10)
        fast = OrderedDict(model.named_parameters())
        for _ in range(2):
            fast = inner_update(model, fast, x_s, y_s, lr=0.05)
        meta_loss = meta_loss + F.mse_loss(model(x_q, fast), y_q)
    meta_loss /= 4
    meta_optimizer.zero_grad()
    meta_loss.backward()
    meta_optimizer.step()
    losses.append(meta_loss.item())

before, after = [], []
for _ in range(10):
    task = sample_task()
    (x, y), (x_test, y_test) = task(10), task(50)
    fast = OrderedDict((k, v.detach().clone().requires_grad_()) for k, v in model.named_parameters())
    before.append(F.mse_loss(model(x_test, fast), y_test).item())
    for _ in range(5):
        fast = inner_update(model, fast, x, y, lr=0.05, create_graph=False)
        fast = OrderedDict((k, v.detach().requires_grad_(True)) for k, v in fast.items())
    after.append(F.mse_loss(model(x_test, fast), y_test).item())
print(f"meta loss {np.mean(losses[:5]):.3f} -> {np.mean(losses[-5:]):.3f}")
print(f"new tasks: {np.mean(before):.3f} before, {np.mean(after):.3f} after five steps")
