"""PyTorch computes the small cases in one thread."""

import torch

torch.set_num_threads(1)
