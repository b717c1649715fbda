"""A character-level language model: Embedding, GRU, clipped gradients, and samples of it by multinomial."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

text = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. " * 12
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = dict(enumerate(chars))
data = torch.tensor([stoi[c] for c in text], dtype=torch.long)
rng = np.random.default_rng(3)


class CharGRU(nn.Module):
    def __init__(self, vocab_size, embed_dim=16, hidden_dim=48):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_dim)
        self.gru = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.head = nn.Linear(hidden_dim, vocab_size)

    def forward(self, idx, hidden=None):
        out, hidden = self.gru(self.embed(idx), hidden)
        return self.head(out), hidden


def batchify(data, batch_size):
    n = data.size(0) // batch_size
    return data.narrow(0, 0, n * batch_size).view(batch_size, -1).contiguous()


model = CharGRU(len(chars))
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.from_numpy(rng.normal(0, 0.15, p.shape)))
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)

batches, bptt, losses = batchify(data, 8), 16, []
for epoch in range(6):
    hidden = None
    for i in range(0, batches.size(1) - 1, bptt):
        seq_len = min(bptt, batches.size(1) - 1 - i)
        x, y = batches[:, i : i + seq_len], batches[:, i + 1 : i + 1 + seq_len]
        if hidden is not None:
            hidden = hidden.detach()
        logits, hidden = model(x, hidden)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: perplexity {torch.exp(torch.tensor(losses[-8:])).mean().item():.2f}")


@torch.no_grad()
def generate(prompt, length, temperature=0.5):
    model.eval()
    idx = torch.tensor([stoi[c] for c in prompt]).unsqueeze(0)
    logits, hidden = model(idx)
    for _ in range(length):
        probs = F.softmax(logits[:, -1] / temperature, dim=-1)
        next_idx = torch.multinomial(probs, num_samples=1)
        idx = torch.cat((idx, next_idx), dim=1)
        logits, hidden = model(next_idx, hidden)
    return "".join(itos[int(i)] for i in idx[0])


torch.manual_seed(0)
sample = generate("the ", 40)
print(repr(sample))
