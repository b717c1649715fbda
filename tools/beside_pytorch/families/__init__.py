"""The families of random programs, by name."""
