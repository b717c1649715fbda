"""Layers one after the other."""

from collections.abc import Iterator

from stackgrad.tensor import Tensor

from ..module import Module


class Sequential(Module):
    """Each module's output is the next one's input. Parameters are named "0.weight", "0.bias", "1.weight" and so on.

    Raises:
        TypeError: an argument that is no Module.
    """

    def __init__(self, *modules: Module) -> None:
        for index, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"argument {index} of Sequential must be a Module; got {type(module).__name__}")
            setattr(self, str(index), module)

    def forward(self, input: Tensor) -> Tensor:
        for module in self:
            input = module(input)
        return input

    def __iter__(self) -> Iterator[Module]:
        return (value for name, value in vars(self).items() if name.isdecimal())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]
