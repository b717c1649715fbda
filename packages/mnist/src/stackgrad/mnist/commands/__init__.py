"""The commands of `stackgrad-mnist`, one per file; `cli` assembles them."""
