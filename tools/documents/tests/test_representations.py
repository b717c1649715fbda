"""What is printed of each public object says what it is."""

import inspect
from typing import Any

from tools.public_names import public_values

# Those without instances: of a Function `apply` is called, and each Value is a Tensor.
WITHOUT = ("stackgrad.tensor.Function", "stackgrad.tensor.autograd.Function", "stackgrad.tensor.types.Value")


def test_no_public_class_has_pythons_default_representation():
    classes = {name: value for name, value in public_values().items() if inspect.isclass(value) and value is not Any}
    assert len(classes) > 100
    default = [
        name
        for name, cls in classes.items()
        if vars(object)["__repr__"] is cls.__repr__ and not inspect.isabstract(cls) and name not in WITHOUT
    ]
    assert not default, f"public classes without a __repr__: {', '.join(default)}"
    objects = {name: value for name, value in public_values().items() if not inspect.isroutine(inspect.unwrap(value))}
    python = vars(object)["__repr__"]
    default = [name for name, value in objects.items() if type(value).__repr__ is python]
    assert not default, f"public objects whose class has no __repr__: {', '.join(default)}"
