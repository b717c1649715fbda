"""Contrastive learning: cosine similarity by norms, a temperature that is learned, a margin loss beside it."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(14)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(12, 32), nn.BatchNorm1d(32), nn.ELU(), nn.Linear(32, 32), nn.Softplus(), nn.Linear(32, 8)
        )
        self.logit_scale = nn.Parameter(torch.ones([]) * np.log(1 / 0.2))

    def forward(self, x):
        return self.net(x)


def cosine_similarity(a, b, eps=1e-8):
    a = a / a.norm(p=2, dim=-1, keepdim=True).clamp(min=eps)
    b = b / b.norm(p=2, dim=-1, keepdim=True).clamp(min=eps)
    return a @ b.T


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        distance = F.pairwise_distance(output1, output2)
        return torch.mean(label * distance.pow(2) + (1 - label) * torch.clamp(self.margin - distance, min=0.0).pow(2))


prototypes = rng.normal(size=(16, 12))


def views():
    pair = [torch.tensor(prototypes + rng.normal(0, 0.3, prototypes.shape), dtype=torch.float32) for _ in range(2)]
    return pair[0], pair[1]


model = Encoder()
with torch.no_grad():
    for name, p in model.named_parameters():
        if name.endswith("weight") and p.dim() == 2:
            p.copy_(torch.tensor(rng.normal(0, 0.3, tuple(p.shape))))
        elif p.dim():
            p.fill_(1.0 if "1.weight" in name else 0.0)
optimizer = torch.optim.Adam(
    [{"params": model.net.parameters()}, {"params": [model.logit_scale], "lr": 1e-3}], lr=5e-3, amsgrad=True
)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[40, 60], gamma=0.3)
margin_loss = ContrastiveLoss()

losses = []
labels = torch.arange(16)
for step in range(80):
    x1, x2 = views()
    z1, z2 = model(x1), model(x2)
    logits = cosine_similarity(z1, z2) * model.logit_scale.exp()
    nt_xent = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    rolled = torch.roll(z2, shifts=1, dims=0)
    both = torch.cat([torch.ones(16), torch.zeros(16)])
    loss = nt_xent + 0.1 * margin_loss(z1.repeat(2, 1), torch.cat([z2, rolled]), both)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())

model.eval()
with torch.no_grad():
    x1, x2 = views()
    similarity = F.cosine_similarity(model(x1).unsqueeze(1), model(x2).unsqueeze(0), dim=-1)
    accuracy = (similarity.argmax(1) == labels).float().mean().item()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, accuracy {accuracy:.3f}, scale {model.logit_scale.exp().item():.2f}")
print("rates", [group["lr"] for group in optimizer.param_groups])
