"""A variational autoencoder of binary stripes: reparameterisation, KL by hand, samples of the prior."""

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(1)
rng = np.random.default_rng(10)

patterns = np.zeros((8, 4, 4), dtype=np.float32)
for i in range(4):
    patterns[i, i, :] = 1
    patterns[4 + i, :, i] = 1
images = patterns[rng.integers(0, 8, 512)][:, None]
train_loader = torch.utils.data.DataLoader(torch.from_numpy(images), batch_size=64, shuffle=True)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 32)
        self.fc21 = nn.Linear(32, 3)
        self.fc22 = nn.Linear(32, 3)
        self.fc3 = nn.Linear(3, 32)
        self.fc4 = nn.Linear(32, 16)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 16))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=5e-3)


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 16), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


losses = []
for epoch in range(25):
    model.train()
    train_loss = 0
    for batch_idx, data in enumerate(train_loader):
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    losses.append(train_loss / len(train_loader.dataset))
    print(f"====> Epoch: {epoch} Average loss: {losses[-1]:.4f}")

with torch.no_grad():
    sample = model.decode(torch.randn(64, 3)).cpu()
    stripes = torch.from_numpy(patterns).view(8, 16)
    distance = torch.cdist(sample, stripes, p=1).amin(dim=1)
print("distance of samples to the nearest pattern", distance.mean().item(), sample.view(64, 1, 4, 4).shape)
