"""An image optimised itself: content by features, style by Gram matrices, smooth by total variation."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

rng = np.random.default_rng(11)


def from_numpy(*shape, scale=1.0):
    return torch.from_numpy(rng.normal(0, scale, shape)).float()


features = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 12, 3, padding=1)
)
for p in features.parameters():
    p.requires_grad_(False)
    p.copy_(from_numpy(*p.shape, scale=0.2))
features.eval()

activations = {}


def hook(name):
    def save(module, inputs, output):
        activations[name] = output

    return save


handles = [features[0].register_forward_hook(hook("conv1")), features[3].register_forward_hook(hook("conv2"))]


def extract(image):
    features(image)
    return dict(activations)


def gram_matrix(x):
    b, c, h, w = x.size()
    flat = x.view(b, c, h * w)
    return torch.bmm(flat, flat.transpose(1, 2)).div(c * h * w)


ys, xs = torch.meshgrid(torch.linspace(0, 1, 16), torch.linspace(0, 1, 16), indexing="ij")
content_img = torch.stack([xs, ys, (xs - 0.5) ** 2 + (ys - 0.5) ** 2]).unsqueeze(0)
style_img = (torch.sin(20 * xs) > 0).float().expand(1, 3, 16, 16).clone()
content = extract(content_img)["conv2"].detach()
style = {name: gram_matrix(a).detach() for name, a in extract(style_img).items()}

input_img = (content_img + from_numpy(*content_img.shape, scale=0.05)).requires_grad_(True)
optimizer = optim.Adam([input_img], lr=0.02)
losses = []
for step in range(60):
    with torch.no_grad():
        input_img.clamp_(0, 1)
    optimizer.zero_grad()
    current = extract(input_img)
    content_loss = F.mse_loss(current["conv2"], content)
    style_loss = sum(F.mse_loss(gram_matrix(current[name]), target) for name, target in style.items())
    tv = (input_img[..., 1:] - input_img[..., :-1]).abs().mean()
    tv += (input_img[:, :, 1:] - input_img[:, :, :-1]).abs().mean()
    loss = content_loss + 100 * style_loss + 0.1 * tv
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

with torch.no_grad():
    input_img.clamp_(0, 1)
for handle in handles:
    handle.remove()
assert all(p.grad is None for p in features.parameters())
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}", input_img.shape, input_img.min().item(), input_img.max().item())
