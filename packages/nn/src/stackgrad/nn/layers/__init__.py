"""Layers: modules whose call is one function of `stackgrad.nn.functional`."""
