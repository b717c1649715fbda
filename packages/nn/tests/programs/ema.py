"""Regression with an exponential moving average of the weights beside them, and SWA's running mean."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(7)
X = torch.linspace(-2, 2, 200).unsqueeze(1)
Y = torch.sin(2 * X) + 0.3 * torch.from_numpy(rng.normal(size=(200, 1))).to(torch.float32)

model = nn.Sequential(nn.Linear(1, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
for m in model.modules():
    if isinstance(m, nn.Linear):
        w = rng.normal(0, (2 / m.in_features) ** 0.5, (m.out_features, m.in_features))
        m.weight = nn.Parameter(torch.tensor(w, dtype=torch.float32))
        nn.init.constant_(m.bias, 0.1)

ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
swa_model = AveragedModel(model)


class ManualEMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {name: p.clone().detach() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model):
        for name, p in model.named_parameters():
            self.shadow[name].mul_(self.decay).add_(p, alpha=1 - self.decay)


manual = ManualEMA(model, 0.95)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
scheduler = CosineAnnealingLR(optimizer, T_max=60, eta_min=1e-3)

losses = []
for epoch in range(60):
    index = torch.from_numpy(rng.permutation(200)[:64])
    loss = F.smooth_l1_loss(model(X[index]), Y[index], beta=0.5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    ema_model.update_parameters(model)
    manual.update(model)
    if epoch >= 40:
        swa_model.update_parameters(model)
    losses.append(loss.item())

loader = DataLoader(TensorDataset(X, Y), batch_size=50)
update_bn(loader, ema_model)
update_bn(loader, swa_model)
errors = {}
with torch.no_grad():
    for name, net in {"model": model, "ema": ema_model, "swa": swa_model}.items():
        net.eval()
        errors[name] = F.mse_loss(net(X), torch.sin(2 * X)).item()
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}", errors, int(ema_model.n_averaged))
