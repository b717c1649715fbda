"""A small U-Net that segments discs: ConvTranspose2d, cat, interpolate, dice and BCE losses, a plateau schedule."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

rng = np.random.default_rng(12)


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(2, out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self, base=4):
        super().__init__()
        self.inc = DoubleConv(1, base)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(base, base * 2))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(base * 2, base * 4))
        self.up1 = nn.ConvTranspose2d(base * 4, base * 2, kernel_size=2, stride=2)
        self.conv1 = DoubleConv(base * 4, base * 2)
        self.conv2 = DoubleConv(base * 3, base)
        self.outc = nn.Conv2d(base, 1, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x = self.up1(x3)
        diff_y, diff_x = x2.size()[2] - x.size()[2], x2.size()[3] - x.size()[3]
        x = F.pad(x, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        x = self.conv1(torch.cat([x2, x], dim=1))
        x = F.interpolate(x, size=x1.shape[-2:], mode="bilinear", align_corners=False)
        x = self.conv2(torch.cat([x1, x], dim=1))
        return self.outc(x)


def dice_loss(logits, targets, smooth=1.0):
    probs = torch.sigmoid(logits).flatten(1)
    targets = targets.flatten(1)
    intersection = (probs * targets).sum(-1)
    return (1 - (2.0 * intersection + smooth) / (probs.sum(-1) + targets.sum(-1) + smooth)).mean()


grid = np.mgrid[0:14, 0:14]
centers, radii = rng.uniform(4, 10, (48, 2, 1, 1)), rng.uniform(2, 4, (48, 1, 1))
masks = (((grid - centers) ** 2).sum(1) < radii**2).astype(np.float32)[:, None]
images = torch.from_numpy(masks + rng.normal(0, 0.4, masks.shape).astype(np.float32))
masks = torch.from_numpy(masks)

model = UNet()
with torch.no_grad():
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            m.weight.copy_(torch.from_numpy(rng.normal(0, 1 / np.sqrt(m.weight[0].numel()), m.weight.shape)))
            if m.bias is not None:
                m.bias.zero_()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=2)
criterion = nn.BCEWithLogitsLoss()

losses = []
for epoch in range(20):
    total = 0.0
    for x, y in zip(images.chunk(3), masks.chunk(3), strict=True):
        logits = model(x)
        loss = criterion(logits, y) + dice_loss(logits, y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), clip_value=1.0)
        optimizer.step()
        total += loss.item()
    losses.append(total / 3)
    scheduler.step(losses[-1])

model.eval()
with torch.set_grad_enabled(False):
    predicted = torch.sigmoid(model(images)) > 0.5
    truth = masks.bool()
    iou = ((predicted & truth).sum((1, 2, 3)) / (predicted | truth).sum((1, 2, 3))).mean().item()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, IoU {iou:.3f}, rate {optimizer.param_groups[0]['lr']}")
