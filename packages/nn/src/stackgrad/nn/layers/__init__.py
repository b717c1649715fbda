"""Layers: modules that call functions of `stackgrad.nn.functional`."""
