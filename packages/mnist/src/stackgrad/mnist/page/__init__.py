"""The drawing page of `stackgrad-mnist serve`, and its server."""
