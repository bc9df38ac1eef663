"""Hostile inputs: changed at random from a seed, run, and those that fail made small and kept.

One file per kind of input gives ``seeds()``, good inputs as bytes, and ``run(data)``, which does
what a user would. It may give more: ``changed(data, others, rng)`` where blind changes do not get
far, ``WORDS`` that are put in here and there, ``MEMORY`` in MB and ``SECONDS`` that an input may
take, and ``OWN``, what may stand on stderr.

``python -m tests.fuzz --help`` says how to run it for hours.
"""

KINDS = (
    *("images", "videos", "models", "checkpoints"),
    *("recipes", "lists", "words", "requests"),
)
