"""The same examples in every run: set HYPOTHESIS_PROFILE=random to look for new ones.

On the numpy backend, where a test names no other and STACKGRAD_BACKEND is not set.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
os.environ.setdefault("STACKGRAD_BACKEND", "numpy")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
