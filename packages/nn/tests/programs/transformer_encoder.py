"""An encoder of torch.nn's layers with learned positions: which token is the most frequent in a sequence?"""

import math

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR

rng = np.random.default_rng(4)
VOCAB, LENGTH, PAD = 6, 12, 0


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(0)]


class Classifier(nn.Module):
    def __init__(self, d_model=16, nhead=4, num_layers=2):
        super().__init__()
        self.d_model = d_model
        self.embedding = nn.Embedding(VOCAB, d_model, padding_idx=PAD)
        self.pos = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward=32, dropout=0.0, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, num_layers=num_layers, enable_nested_tensor=False)
        self.head = nn.Linear(d_model, VOCAB)

    def forward(self, tokens):
        mask = tokens == PAD
        x = self.embedding(tokens.t()) * math.sqrt(self.d_model)
        x = self.encoder(self.pos(x), src_key_padding_mask=mask)
        x = x.permute(1, 0, 2).masked_fill(mask.unsqueeze(-1), 0.0)
        lengths = (~mask).sum(dim=1, keepdim=True)
        return self.head(x.sum(dim=1) / lengths)


tokens = rng.integers(1, VOCAB, (192, LENGTH))
for row, length in zip(tokens, rng.integers(6, LENGTH + 1, len(tokens)), strict=True):
    row[length:] = PAD
counts = torch.nn.functional.one_hot(torch.from_numpy(tokens), VOCAB).sum(1)
counts[:, PAD] = 0
tokens, labels = torch.from_numpy(tokens), counts.argmax(-1)

model = Classifier()
for name, p in model.named_parameters():
    if p.dim() > 1:
        p.detach().copy_(torch.from_numpy(rng.normal(0, p.shape[-1] ** -0.5, p.shape)))
    elif name.endswith("bias"):
        nn.init.zeros_(p)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98), eps=1e-9)
scheduler = LambdaLR(optimizer, lr_lambda=lambda step: min((step + 1) / 10, (10 / (step + 1)) ** 0.5))
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

losses = []
for epoch in range(25):
    model.train()
    for i in range(0, len(tokens), 64):
        optimizer.zero_grad()
        loss = criterion(model(tokens[i : i + 64]), labels[i : i + 64])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())

model.eval()
with torch.no_grad():
    accuracy = (model(tokens).argmax(dim=1) == labels).float().mean().item()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, accuracy {accuracy:.3f}, rate {scheduler.get_last_lr()[0]:.5f}")
