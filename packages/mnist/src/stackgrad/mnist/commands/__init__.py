"""The commands of `stackgrad-mnist`, one a file; `cli` puts them together."""
