"""A classifier of two interleaved moons, with early stopping and the best state kept."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
torch.manual_seed(0)


def moons(n):
    angle = rng.uniform(0, np.pi, n)
    label = rng.integers(0, 2, n)
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], axis=1) + rng.normal(0, 0.1, (n, 2))
    return torch.tensor(points, dtype=torch.float32), torch.from_numpy(label)


class MLP(nn.Module):
    def __init__(self, n_in, n_hidden, n_out, p=0.1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, n_hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(p),
            nn.Linear(n_hidden, n_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(n_hidden, n_out),
        )

    def forward(self, x):
        return self.layers(x)


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
train_loader = DataLoader(TensorDataset(*moons(512)), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(*moons(256)), batch_size=64)

model = MLP(2, 32, 2).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)


def evaluate():
    model.eval()
    total, correct, loss = 0, 0, 0.0
    with torch.no_grad():
        for inputs, targets in val_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            outputs = model(inputs)
            loss += criterion(outputs, targets).item() * inputs.size(0)
            predicted = outputs.argmax(dim=1)
            total += targets.size(0)
            correct += (predicted == targets).sum().item()
    return loss / total, correct / total


losses, best_loss, patience, waited = [], float("inf"), 5, 0
for epoch in range(40):
    model.train()
    running_loss = 0.0
    for inputs, targets in train_loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(inputs)
    losses.append(running_loss / len(train_loader.dataset))
    val_loss, accuracy = evaluate()
    print(f"epoch {epoch + 1}: train {losses[-1]:.4f} val {val_loss:.4f} accuracy {100 * accuracy:.1f}%")
    if val_loss < best_loss - 1e-4:
        best_loss, waited = val_loss, 0
        best_state = copy.deepcopy(model.state_dict())
    else:
        waited += 1
        if waited >= patience:
            print("early stopping")
            break

model.load_state_dict(best_state)
val_loss, accuracy = evaluate()
n_params = sum(p.numel() for p in model.parameters() if p.requires_grad)
print(f"best val loss {val_loss:.4f}, accuracy {accuracy:.4f}, {n_params} parameters")
