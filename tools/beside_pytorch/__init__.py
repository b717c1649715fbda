"""Random programs run by stackgrad and by PyTorch: what differs and does not stand in docs/pytorch.md is a fault."""
