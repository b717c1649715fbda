"""Mixture density: a network gives a mixture's logits, means and scales; logsumexp loss; weight decay by hand."""

import math

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

rng = np.random.default_rng(17)


class MDN(nn.Module):
    def __init__(self, hidden: int = 24, components: int = 3) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, components) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.tanh(self.hidden(x))
        logits, mean, raw = (head(h) for head in self.heads)
        return logits, mean, F.softplus(raw) + 1e-3

    def extra_repr(self) -> str:
        return "mixture density"


def nll(logits: Tensor, mean: Tensor, scale: Tensor, y: Tensor) -> Tensor:
    z = (y - mean) / scale
    log_prob = -0.5 * z**2 - torch.log(scale) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(F.log_softmax(logits, dim=1) + log_prob, dim=1).mean()


# t against y = 2 sin(t) + noise: several y for one x.
t = rng.uniform(-4, 4, 300)
x = torch.as_tensor(t * 0.3 + 2 * np.sin(t)).float()[:, None]
y = torch.as_tensor(t).float().view(-1, 1)

model = MDN()
print(model)
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.from_numpy(rng.normal(0, 0.5, p.shape)))
optimizer = optim.Adam(model.parameters(), lr=2e-2)
warmup = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=10)
decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.98)
scheduler = optim.lr_scheduler.SequentialLR(optimizer, schedulers=[warmup, decay], milestones=[10])

losses = []
for epoch in range(120):
    optimizer.zero_grad()
    loss = nll(*model(x), y) + 1e-4 * sum(p.pow(2).sum() for p in model.parameters())
    loss.backward()
    total_norm = torch.sqrt(sum(p.grad.detach().pow(2).sum() for p in model.parameters()))
    if total_norm > 5:
        for p in model.parameters():
            p.grad.mul_(5 / total_norm)
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())

with torch.no_grad():
    logits, mean, scale = model(torch.zeros(1, 1))
    weights = logits.softmax(-1)
    expected = (weights * mean).sum(-1)
torch.manual_seed(0)
component = torch.multinomial(weights.expand(500, -1), 1)
samples = torch.normal(mean.expand(500, -1).gather(1, component), scale.expand(500, -1).gather(1, component))
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}", samples.shape, samples.std().item(), expected.item())
