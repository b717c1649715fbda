"""REINFORCE on a corridor: log_softmax and gather, actions by multinomial, returns with a baseline."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(543)
N_STATES, GAMMA, GOAL = 7, 0.95, 6


class Corridor:
    def reset(self):
        self.state, self.t = 2, 0
        return self.state

    def step(self, action):
        self.t += 1
        self.state = max(0, min(GOAL, self.state + (1 if action == 1 else -1)))
        done = self.state == GOAL or self.t >= 20
        return self.state, 1.0 if self.state == GOAL else -0.05, done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(N_STATES, 16)
        self.affine2 = nn.Linear(16, 2)

    def forward(self, x):
        return F.log_softmax(self.affine2(torch.tanh(self.affine1(x))), dim=-1)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=2e-2)
env = Corridor()
eps = torch.finfo(torch.float32).eps


def select_action(state):
    x = F.one_hot(torch.tensor([state]), num_classes=N_STATES).float()
    log_probs = policy(x)
    action = torch.multinomial(log_probs.exp().detach(), 1)
    return action.item(), log_probs.gather(1, action).squeeze(), -(log_probs.exp() * log_probs).sum()


lengths, losses = [], []
for episode in range(60):
    state, done, log_probs, rewards, entropies = env.reset(), False, [], [], []
    while not done:
        action, log_prob, entropy = select_action(state)
        state, reward, done = env.step(action)
        log_probs.append(log_prob)
        entropies.append(entropy)
        rewards.append(reward)
    R, returns = 0, []
    for r in rewards[::-1]:
        R = r + GAMMA * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    if len(returns) > 1:
        returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_loss = [-log_prob * R for log_prob, R in zip(log_probs, returns, strict=True)]
    optimizer.zero_grad()
    loss = torch.stack(policy_loss).sum() - 0.01 * torch.stack(entropies).mean()
    loss.backward()
    optimizer.step()
    lengths.append(len(rewards))
    losses.append(loss.item())

with torch.no_grad():
    right = policy(torch.eye(N_STATES))[:, 1].exp()
print("mean length", sum(lengths[:10]) / 10, "->", sum(lengths[-10:]) / 10)
print("probability of right by state", [round(p, 2) for p in right.tolist()])
