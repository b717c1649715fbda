"""Q-learning with a replay buffer and a target network, on a small grid; smooth L1, gather, soft updates."""

import random
from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

random.seed(18)
rng = np.random.default_rng(18)
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
MOVES = [(0, 1), (1, 0), (0, -1), (-1, 0)]


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(2, 32)
        self.layer2 = nn.Linear(32, 4)

    def forward(self, x):
        return self.layer2(torch.relu(self.layer1(x)))


policy_net, target_net = DQN(), DQN()
for p in policy_net.parameters():
    nn.init.zeros_(p)
    with torch.no_grad():
        p.add_(torch.tensor(rng.normal(0, 0.3, p.shape), dtype=torch.float32))
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
memory, criterion, losses = ReplayMemory(500), nn.SmoothL1Loss(), []


def optimize_model(batch_size=32, gamma=0.9, tau=0.05):
    batch = Transition(*zip(*memory.sample(batch_size), strict=True))
    non_final_mask = torch.tensor(tuple(s is not None for s in batch.next_state), dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch, action_batch, reward_batch = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
    state_action_values = policy_net(state_batch).gather(1, action_batch)
    next_state_values = torch.zeros(batch_size)
    with torch.no_grad():
        next_state_values[non_final_mask] = target_net(non_final_next_states).amax(1)
    expected = (next_state_values * gamma) + reward_batch
    loss = criterion(state_action_values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    losses.append(loss.item())
    target_state, policy_state = target_net.state_dict(), policy_net.state_dict()
    for key in policy_state:
        target_state[key] = policy_state[key] * tau + target_state[key] * (1 - tau)
    target_net.load_state_dict(target_state)


def run(epsilon, train=True):
    position = (0, 0)
    for t in range(1, 21):
        state = torch.tensor(position, dtype=torch.float32).unsqueeze(0) / 3
        if random.random() < epsilon:
            action = torch.tensor([[random.randrange(4)]], dtype=torch.long)
        else:
            with torch.no_grad():
                action = policy_net(state).argmax(1).view(1, 1)
        dx, dy = MOVES[action.item()]
        position = (min(3, max(0, position[0] + dx)), min(3, max(0, position[1] + dy)))
        done = position == (3, 3)
        if train:
            next_state = None if done else torch.tensor([position], dtype=torch.float32) / 3
            memory.push(state, action, next_state, torch.tensor([1.0 if done else -0.05]))
            if len(memory) >= 64:
                optimize_model()
        if done:
            return t
    return t


durations = [run(epsilon=max(0.1, 0.95**episode)) for episode in range(50)]
greedy = run(epsilon=0.0, train=False)
print("durations", durations[:5], "->", durations[-5:], "greedy", greedy, "loss", losses[-1])
