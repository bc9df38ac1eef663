"""The expression vocabulary: the only place where names and their order are defined.

Integers that data sets use for expressions never leave the data set's own file.
"""

from enum import StrEnum


class Expression(StrEnum):
    """A facial expression, named as FER2013 names it.

    Example:
        >>> Expression("happy") is Expression.HAPPY
        True
    """

    ANGRY = "angry"
    DISGUST = "disgust"
    FEAR = "fear"
    HAPPY = "happy"
    SAD = "sad"
    SURPRISE = "surprise"
    NEUTRAL = "neutral"
    CONTEMPT = "contempt"


BASIC_EXPRESSIONS: tuple[Expression, ...] = tuple(Expression)[:7]
"""The seven basic expressions in canonical order, which is FER2013's."""
