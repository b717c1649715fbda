"""An LSTM that adds two marked values of a sequence (many to one)."""

import numpy as np
import torch
import torch.nn as nn
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

np.random.seed(2)


class AddingProblem(Dataset):
    def __init__(self, n, length):
        values = np.random.rand(n, length).astype("float32")
        markers = np.zeros((n, length), dtype="float32")
        for row in markers:
            row[np.random.choice(length, 2, replace=False)] = 1
        self.x = torch.from_numpy(np.stack([values, markers], axis=-1))
        self.y = torch.from_numpy((values * markers).sum(1))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):
        return self.x[idx], self.y[idx]


class Model(nn.Module):
    def __init__(self, input_size=2, hidden_size=16, num_layers=2):
        super().__init__()
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, x):
        h0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size, device=x.device)
        c0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size, device=x.device)
        out, (hn, cn) = self.lstm(x, (h0, c0))
        assert torch.allclose(out[:, -1, :], hn[-1])
        return self.fc(out[:, -1, :]).squeeze(-1)


model = Model()
state = {}
for name, value in model.state_dict().items():
    state[name] = torch.tensor(np.random.uniform(-0.25, 0.25, value.shape), dtype=torch.float32)
    if "bias_ih" in name:
        state[name][model.hidden_size : 2 * model.hidden_size].fill_(1.0)
print(model.load_state_dict(state))

loader = DataLoader(AddingProblem(256, 8), batch_size=32, shuffle=False, drop_last=True)
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = nn.MSELoss()

losses = []
for epoch in range(12):
    for i, (x, y) in enumerate(loader):
        pred = model(x)
        loss = loss_fn(pred, y)
        optimizer.zero_grad()
        loss.backward()
        grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        if i % 4 == 0:
            losses.append(loss.item())
    print(f"Epoch [{epoch + 1}/12], Loss: {losses[-1]:.5f}, |g| {grad_norm:.4f}")

with torch.no_grad():
    x, y = next(iter(loader))
    mae = (model(x) - y).abs().mean().item()
print("mean absolute error", mae)
