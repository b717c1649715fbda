"""PyTorch uses one thread, since the cases are small."""

import torch

torch.set_num_threads(1)
