"""Run random programs in stackgrad and in PyTorch. A difference that is not in docs/pytorch.md is a bug."""
