"""Which parts of a face decided, and whether such a map is right.

Occlusion and the attention window work on any model file with the base install; the methods that
need gradients are in `gradients` and need the extra ``explain``.
"""

from deepfer.explain.methods import BASE_METHODS, explain, list_methods
from deepfer.explain.types import Explanation

__all__ = ["BASE_METHODS", "Explanation", "explain", "list_methods"]
