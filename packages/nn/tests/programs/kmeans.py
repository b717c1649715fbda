"""k-means by broadcasting, argmin and scatter_add; the same sums by index_add, one_hot and bincount; then PCA."""

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(16)
K, D, N = 4, 3, 400
centers = 4 * rng.normal(size=(K, D))
labels = rng.integers(0, K, N)
X = torch.from_numpy(centers[labels] + rng.normal(0, 0.5, (N, D)))
print(X.dtype, X.shape, X.ndim, X.is_contiguous())


def kmeans(X, k, iterations=20, tol=1e-6):
    centroids = [X[0]]
    for _ in range(k - 1):  # farthest first
        distances = ((X[:, None] - torch.stack(centroids)) ** 2).sum(-1).amin(dim=1)
        centroids.append(X[distances.argmax()])
    centroids = torch.stack(centroids)
    history = []
    for _ in range(iterations):
        distances = torch.cdist(X, centroids)
        values, assignment = distances.amin(dim=1), distances.argmin(dim=1)
        history.append(values.square().mean().item())
        sums = torch.zeros_like(centroids).scatter_add_(0, assignment.unsqueeze(1).expand(-1, X.size(1)), X)
        counts = torch.bincount(assignment, minlength=k).to(X.dtype)
        new = sums / counts.clamp(min=1).unsqueeze(1)
        shift = torch.linalg.norm(new - centroids, dim=1).max()
        centroids = new
        if shift < tol:
            break
    return centroids, assignment, history


centroids, assignment, losses = kmeans(X, K)

onehot = F.one_hot(assignment, K).to(X.dtype)
by_matmul = (onehot.T @ X) / onehot.sum(0).unsqueeze(-1)
by_index_add = torch.zeros(K, D, dtype=X.dtype).index_add_(0, assignment, X) / torch.bincount(assignment)[:, None]
assert torch.allclose(by_matmul, by_index_add)
assert torch.allclose(by_matmul, centroids, atol=1e-6)

unique, counts = torch.unique(assignment, return_counts=True)
purity = 0
for k in unique:
    purity += torch.bincount(torch.from_numpy(labels)[assignment == k]).max().item()
purity /= N
order = torch.argsort(counts, descending=True)
print("sizes", counts[order].tolist(), "purity", purity)

# The first principal direction by power iteration.
centered = X - X.mean(dim=0, keepdim=True)
cov = centered.t().mm(centered) / (N - 1)
v = torch.ones(D, dtype=torch.float64)
for _ in range(100):
    v = cov.mv(v)
    v = v / v.norm()
explained = (torch.dot(v, cov @ v) / torch.trace(cov)).item()
projected = torch.matmul(centered, v)
quantiles = torch.sort(projected)[0][[0, N // 2, -1]]
print(f"first direction explains {explained:.3f}", quantiles.numpy().round(3), torch.var(projected).item())
assert torch.isclose(projected.var(), torch.dot(v, cov @ v))
