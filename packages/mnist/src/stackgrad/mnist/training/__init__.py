"""Training and evaluation of a model: recipes, steps, and whole runs that can be stopped at any time."""

from .evaluate import count_correct, probabilities
from .recipes import RECIPES, Recipe
from .steps import NotFiniteError, Step, Training

__all__ = ["RECIPES", "NotFiniteError", "Recipe", "Step", "Training", "count_correct", "probabilities"]
