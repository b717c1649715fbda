"""A learning-rate finder: rates that grow by a constant factor, the smoothed loss, then training at the rate found."""

import copy

import numpy as np
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(8)
x = torch.tensor(rng.normal(size=(512, 10)), dtype=torch.float)
true_w = torch.tensor(rng.normal(size=(10, 3)), dtype=torch.float)
y = torch.argmax(x @ true_w, dim=1)
loader = DataLoader(TensorDataset(x, y), batch_size=32)


def build():
    model = nn.Sequential(nn.Linear(10, 32), nn.LeakyReLU(), nn.Linear(32, 3), nn.LogSoftmax(dim=-1))
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(torch.tensor(np.random.default_rng(i).normal(0, 0.2, p.size())))
    return model


class LRFinder:
    def __init__(self, model, optimizer, criterion):
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.model_state = copy.deepcopy(model.state_dict())
        self.optimizer_state = copy.deepcopy(optimizer.state_dict())
        self.history = {"lr": [], "loss": []}

    def range_test(self, loader, end_lr, num_iter, smooth=0.9, diverge=4.0):
        start_lr = self.optimizer.param_groups[0]["lr"]
        scheduler = ExponentialLR(self.optimizer, gamma=(end_lr / start_lr) ** (1 / num_iter))
        iterator, average, best = iter(loader), 0.0, None
        for i in range(num_iter):
            try:
                inputs, labels = next(iterator)
            except StopIteration:
                iterator = iter(loader)
                inputs, labels = next(iterator)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(inputs), labels)
            loss.backward()
            self.optimizer.step()
            average = smooth * average + (1 - smooth) * loss.item()
            corrected = average / (1 - smooth ** (i + 1))
            self.history["lr"].append(scheduler.get_last_lr()[0])
            self.history["loss"].append(corrected)
            scheduler.step()
            best = corrected if best is None else min(best, corrected)
            if corrected > diverge * best or not np.isfinite(corrected):
                break

    def suggestion(self):
        curve = torch.tensor(self.history["loss"])
        slopes = curve[1:] - curve[:-1]
        return self.history["lr"][int(slopes.argmin())]

    def reset(self):
        self.model.load_state_dict(self.model_state)
        self.optimizer.load_state_dict(self.optimizer_state)


model = build()
optimizer = SGD(model.parameters(), lr=1e-4, momentum=0.9)
criterion = nn.NLLLoss()
finder = LRFinder(model, optimizer, criterion)
finder.range_test(loader, end_lr=10, num_iter=60)
lr = finder.suggestion()
finder.reset()
print(f"suggested {lr:.2e} of {len(finder.history['lr'])} rates, back at {optimizer.param_groups[0]['lr']}")

for group in optimizer.param_groups:
    group["lr"] = lr
optimizer = SGD(model.parameters(), lr=lr, momentum=0.9)
scheduler = LambdaLR(optimizer, lambda epoch: 0.8**epoch)
losses = list(finder.history["loss"][:40])
for epoch in range(5):
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
accuracy = (model(x).argmax(dim=1) == y).float().mean().item()
print(f"accuracy {accuracy:.3f}")
