"""Facial-expression recognition that can be trained from scratch and checked by anyone.

    from deepfer import Recognizer
    prediction = Recognizer().recognize("photo.jpg")

Importing this loads no torch, matplotlib or scikit-learn.
"""

from deepfer.errors import DeepferError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.pipeline import Recognizer
from deepfer.types import Face, FaceExpression, Pose, Prediction, Quality

__version__ = "0.2.0"

__all__ = [
    "BASIC_EXPRESSIONS",
    "DeepferError",
    "Expression",
    "Face",
    "FaceExpression",
    "Pose",
    "Prediction",
    "Quality",
    "Recognizer",
    "__version__",
]
