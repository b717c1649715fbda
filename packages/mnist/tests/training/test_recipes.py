import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS
from stackgrad.mnist.training.recipes import OPTIMIZERS, RECIPES, SCHEDULES, Recipe
from stackgrad.tensor import ones


@pytest.mark.parametrize("name", MODELS)
def test_each_model_has_a_recipe(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.epochs >= 1
    assert recipe.batch_size >= 1
    assert 0 < recipe.lr < 1
    assert recipe.optimizer in OPTIMIZERS
    assert recipe.schedule in SCHEDULES


@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("one-cycle", None, 0.0), ("cosine", 0.05, 0.0), ("constant", 0.1, 0.1)]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_and_schedules_by_name(optimizer: str, schedule: str, middle: float | None, end: float) -> None:
    recipe = Recipe(1, 1, 0.1, 0.01, optimizer, schedule)
    made = OPTIMIZERS[optimizer]([nn.Parameter(ones(1))], recipe)
    rates = SCHEDULES[schedule](made, recipe, 100)
    assert type(made).__name__.lower() == optimizer
    assert max(map(rates.rate, range(101))) == pytest.approx(0.1)
    assert rates.rate(100) == pytest.approx(end, abs=1e-6)
    if middle is not None:
        assert rates.rate(50) == pytest.approx(middle)
