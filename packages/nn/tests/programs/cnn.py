"""A small convolutional network with batch norm, dropout and the one-cycle policy, on drawn shapes."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(42)
rng = np.random.default_rng(9)


def draw(n, size=12):
    images = rng.normal(0, 0.3, (n, 1, size, size))
    labels = rng.integers(0, 3, n)
    for image, label in zip(images, labels, strict=True):
        r, c = rng.integers(0, size - 5, 2)
        if label == 0:
            image[0, r + 2, c : c + 5] += 1.5
        elif label == 1:
            image[0, r : r + 5, c + 2] += 1.5
        else:
            image[0, r + np.arange(5), c + np.arange(5)] += 1.5
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels).long()


class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding="same")
        self.bn2 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2, 2)
        self.drop = nn.Dropout2d(0.1)
        self.gap = nn.AdaptiveAvgPool2d((1, 1))
        self.fc1 = nn.Linear(16, 16)
        self.fc2 = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = self.drop(self.pool(F.relu(self.bn2(self.conv2(x)), inplace=True)))
        x = torch.flatten(self.gap(x), 1)
        x = F.dropout(F.relu(self.fc1(x)), p=0.1, training=self.training)
        return self.fc2(x)


dataset = TensorDataset(*draw(480))
train_set, test_set = random_split(dataset, [384, 96], generator=torch.Generator().manual_seed(0))
train_loader = DataLoader(train_set, batch_size=32, shuffle=True, num_workers=0, pin_memory=False)
test_loader = DataLoader(test_set, batch_size=96, shuffle=False)

model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
epochs = 6
scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=len(train_loader), epochs=epochs)

losses, rates = [], []
for epoch in range(1, epochs + 1):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        rates.append(scheduler.get_last_lr()[0])
        if batch_idx % 6 == 0:
            seen = batch_idx * len(data)
            print(f"Train Epoch: {epoch} [{seen}/{len(train_loader.dataset)}]\tLoss: {loss.item():.6f}")

model.eval()
test_loss, correct = 0, 0
with torch.no_grad():
    for data, target in test_loader:
        output = model(data)
        test_loss += F.cross_entropy(output, target, reduction="sum").item()
        pred = output.argmax(dim=1, keepdim=True)
        correct += pred.eq(target.view_as(pred)).sum().item()
accuracy = correct / len(test_loader.dataset)
print(f"test loss {test_loss / len(test_loader.dataset):.4f}, accuracy {accuracy:.3f}, peak rate {max(rates):.3f}")
