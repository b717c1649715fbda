"""Causal self-attention by hand (a small decoder), its einsum form, and scaled_dot_product_attention."""

import math

import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F

rng = np.random.RandomState(5)


class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        assert n_embd % n_head == 0
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.n_head, self.n_embd = n_head, n_embd
        mask = torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size)
        self.register_buffer("bias", mask, persistent=False)

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = torch.einsum("bhts,bhsd->bhtd", att, v)
        if not self.training:
            fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            assert torch.allclose(y, fused, atol=1e-6)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention(n_embd, n_head, block_size)
        self.mlp = nn.ModuleDict({"fc": nn.Linear(n_embd, 2 * n_embd), "proj": nn.Linear(2 * n_embd, n_embd)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["proj"](F.gelu(self.mlp["fc"](self.ln_2(x)), approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self, vocab, n_embd=24, n_head=3, n_layer=2, block_size=16):
        super().__init__()
        self.wte = nn.Embedding(vocab, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList([Block(n_embd, n_head, block_size) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


# Copy the first half of a sequence behind its end.
half = rng.randint(1, 8, (64, 8))
sequence = torch.from_numpy(np.concatenate([half, half], axis=1))
inputs, targets = sequence[:, :-1], sequence[:, 1:].clone()
targets[:, :7] = -1

model = Decoder(8)


def init_weights(module):
    if isinstance(module, (nn.Linear, nn.Embedding)):
        with torch.no_grad():
            module.weight.copy_(torch.tensor(rng.randn(*module.weight.shape) * 0.2))
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


model.apply(init_weights)
decay = [p for n, p in model.named_parameters() if p.dim() >= 2]
no_decay = [p for n, p in model.named_parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}], lr=5e-3, betas=(0.9, 0.95)
)

losses = []
for _ in range(60):
    logits, loss = model(inputs, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())

model.eval()
with torch.no_grad():
    logits, _ = model(inputs)
    wanted = targets != -1
    accuracy = torch.eq(logits.argmax(-1)[wanted], targets[wanted]).float().mean().item()
print(f"{sum(p.numel() for p in model.parameters())} parameters, loss {losses[-1]:.4f}, accuracy {accuracy:.3f}")
