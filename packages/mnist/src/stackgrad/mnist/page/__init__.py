"""The page of `stackgrad-mnist serve` to draw on, and the server behind it."""
