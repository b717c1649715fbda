"""WGAN-GP on a ring of Gaussians: the critic's penalty is a gradient of a gradient. All noise from NumPy."""

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.optim as optim

rng = np.random.default_rng(6)
latent_dim, batch_size, lambda_gp, n_critic = 4, 64, 10, 3


def real_batch():
    angle = 2 * np.pi * rng.integers(0, 8, batch_size) / 8
    centers = np.stack([np.cos(angle), np.sin(angle)], 1)
    return torch.FloatTensor(centers + 0.05 * rng.normal(size=centers.shape))


def noise():
    return torch.from_numpy(rng.standard_normal((batch_size, latent_dim), dtype=np.float32))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()

        def block(n_in, n_out, normalize=True):
            layers = [nn.Linear(n_in, n_out)]
            if normalize:
                layers.append(nn.BatchNorm1d(n_out, momentum=0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(*block(latent_dim, 16, normalize=False), *block(16, 32), nn.Linear(32, 2))

    def forward(self, z):
        return self.model(z)


# Smooth: at the kinks of a leaky ReLU the gradient of the gradient jumps, and rounding tells on which side one is.
critic = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))
generator = Generator()
for net in (generator, critic):
    for p in net.parameters():
        if p.ndim > 1:
            with torch.no_grad():
                p.copy_(torch.from_numpy(rng.normal(0, 0.3, p.shape)))
    for m in net.modules():
        if isinstance(m, nn.Linear):
            nn.init.zeros_(m.bias)
# The gradient of the last bias of the critic is 0 but for rounding errors, which a small eps would make a full step.
optimizer_G = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.9), eps=1e-3)
optimizer_D = optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9), eps=1e-3)


def compute_gradient_penalty(D, real_samples, fake_samples):
    alpha = torch.tensor(rng.random((real_samples.size(0), 1)), dtype=torch.float32)
    interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
    d_interpolates = D(interpolates)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones_like(d_interpolates),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


losses, penalties = [], []
for step in range(40):
    for _ in range(n_critic):
        real, fake = real_batch(), generator(noise()).detach()
        optimizer_D.zero_grad()
        penalty = compute_gradient_penalty(critic, real, fake)
        d_loss = -torch.mean(critic(real)) + torch.mean(critic(fake)) + lambda_gp * penalty
        d_loss.backward()
        optimizer_D.step()
        losses.append(d_loss.item())
        penalties.append(penalty.item())
    for p in critic.parameters():
        p.requires_grad = False
    optimizer_G.zero_grad()
    g_loss = -critic(generator(noise())).mean()
    g_loss.backward()
    optimizer_G.step()
    for p in critic.parameters():
        p.requires_grad = True

print(f"critic {losses[0]:.3f} -> {losses[-1]:.3f}, penalty {penalties[0]:.3f} -> {penalties[-1]:.4f}")
