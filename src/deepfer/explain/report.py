"""An explanation as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepfer.explain.types import Explanation
from deepfer.report import SCHEMA


def to_json(explanation: Explanation, shares: Mapping[str, float]) -> dict[str, Any]:
    """Return an explanation as JSON-ready values: expressions, shares of the regions, the map.

    Args:
        explanation: What to tell.
        shares: From `region_shares`.
    """
    return {
        "schema": SCHEMA,
        "method": explanation.method,
        "expression": str(explanation.expression),
        "target": str(explanation.target),
        "probabilities": {str(e): round(p, 6) for e, p in explanation.probabilities.items()},
        "regions": {name: round(share, 4) for name, share in shares.items()},
        "map": np.round(explanation.map, 5).tolist(),
    }
