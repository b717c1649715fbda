"""Training a model and measuring it: recipes, steps, and whole runs that may be stopped at any moment."""

from .evaluate import count_right, probabilities
from .recipes import RECIPES, Recipe
from .steps import NotFiniteError, Step, Training

__all__ = ["RECIPES", "NotFiniteError", "Recipe", "Step", "Training", "count_right", "probabilities"]
