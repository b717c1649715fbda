"""Pictures of a run, as PNG: how it learned, what it mistakes for what, what its convolutions see."""
