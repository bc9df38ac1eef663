"""Pages of the command line, started for a test."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from children import child


@contextmanager
def running(*arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a page of the command line on a free port; give its address."""
    with child(
        [sys.executable, "-m", "deepfer", *map(str, arguments), "--port", "0", "--no-open"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    ) as process:
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail(f"did not start: {told}")
        process.terminate()
        process.wait(20)
