"""A denoising autoencoder of sine waves, with a step schedule; weights and noise from NumPy."""

import numpy as np
import torch
from torch import nn, optim
from torch.optim.lr_scheduler import StepLR

rng = np.random.default_rng(1)


class Autoencoder(nn.Module):
    def __init__(self, size=32, code=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(size, 24), nn.GELU(), nn.LayerNorm(24), nn.Linear(24, code), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(code, 24), nn.SiLU(), nn.Linear(24, size))

    def encode(self, x):
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encode(x))


def waves(n, size=32):
    t = np.linspace(0, 2 * np.pi, size)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    frequency = rng.integers(1, 3, (n, 1))
    return torch.from_numpy(np.sin(frequency * t + phase)).float()


def init_weights(m):
    if isinstance(m, nn.Linear):
        bound = 1 / np.sqrt(m.in_features)
        with torch.no_grad():
            m.weight.copy_(torch.from_numpy(rng.uniform(-bound, bound, m.weight.shape).astype(np.float32)))
        nn.init.zeros_(m.bias)


clean = waves(256)
model = Autoencoder()
model.apply(init_weights)
optimizer = optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.99))
scheduler = StepLR(optimizer, step_size=10, gamma=0.5)
criterion = nn.MSELoss(reduction="mean")

losses, rates = [], []
for epoch in range(30):
    permutation = torch.from_numpy(rng.permutation(len(clean)))
    epoch_loss = 0
    for indices in permutation.split(64):
        batch = clean[indices]
        noisy = batch + 0.1 * torch.as_tensor(rng.standard_normal(tuple(batch.shape)), dtype=batch.dtype)
        reconstruction = model(noisy)
        loss = criterion(reconstruction, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * batch.shape[0]
    scheduler.step()
    losses.append(epoch_loss / len(clean))
    rates.append(optimizer.param_groups[0]["lr"])

model.eval()
with torch.inference_mode():
    codes = model.encode(clean)
    error = torch.mean((model(clean) - clean) ** 2, dim=1)
    worst = torch.topk(error, k=3)
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}, rate {rates[-1]:.2e}")
print("codes", codes.shape, "mean", codes.mean(0).tolist(), "std", codes.std(0).tolist())
print("worst", worst.indices.tolist(), worst.values.tolist())
