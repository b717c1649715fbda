"""Recommendations by factors of users and items, on implicit feedback, with the state saved and loaded again."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(13)
n_users, n_items, n_factors = 40, 30, 6


class MF(nn.Module):
    def __init__(self, n_users, n_items, n_factors):
        super().__init__()
        self.user_factors = nn.Embedding(n_users, n_factors)
        self.item_factors = nn.Embedding(n_items, n_factors)
        self.user_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        self.global_bias = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.user_bias.weight)
        nn.init.constant_(self.item_bias.weight, 0.0)

    def forward(self, user, item):
        dot = (self.user_factors(user) * self.item_factors(item)).sum(dim=1)
        return dot + self.user_bias(user).squeeze() + self.item_bias(item).squeeze() + self.global_bias


taste, trait = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
likes = (taste @ trait.T > 0).astype(np.float32)
pairs = np.array([(u, i) for u in range(n_users) for i in range(n_items)])
rng.shuffle(pairs)
users, items = torch.from_numpy(pairs).unbind(1)
ratings = torch.tensor(likes)[users, items]
train = TensorDataset(users[:900], items[:900], ratings[:900])
loader = DataLoader(train, batch_size=128)

model = MF(n_users, n_items, n_factors)
with torch.no_grad():
    model.user_factors.weight.copy_(torch.from_numpy(rng.normal(0, 0.3, (n_users, n_factors))))
    model.item_factors.weight.copy_(torch.from_numpy(rng.normal(0, 0.3, (n_items, n_factors))))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.2)

losses = []
for epoch in range(15):
    for user, item, rating in loader:
        optimizer.zero_grad()
        prediction = model(user, item)
        loss = criterion(prediction, rating)
        loss += 1e-3 * (model.user_factors.weight.norm() + model.item_factors.weight.norm())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

with torch.no_grad():
    held_out = torch.sigmoid(model(users[900:], items[900:]))
    accuracy = ((held_out > 0.5) == ratings[900:].bool()).float().mean().item()
    scores = model.user_factors.weight @ model.item_factors.weight.T + model.item_bias.weight.T
    top = scores.topk(5, dim=1).indices
    similarity = nn.functional.normalize(model.item_factors.weight, dim=1)
    similarity = similarity @ similarity.t()
    similarity.fill_diagonal_(-1)
    nearest = similarity.argmax(dim=1)

clone = MF(n_users, n_items, n_factors)
clone.load_state_dict(model.state_dict())
assert torch.equal(clone(users[:5], items[:5]), model(users[:5], items[:5]))
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, held-out accuracy {accuracy:.3f}", top.shape, nearest[:5].tolist())
