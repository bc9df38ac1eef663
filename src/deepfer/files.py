"""Writing files so that a kill leaves the old one or the new one, never half of one."""

import os
import subprocess
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it and rename it."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file as `write_bytes` does."""
    write_bytes(path, content.encode())


def git_commit() -> str | None:
    """Return the commit of the checkout this code runs from, with '+' if changed; else None."""
    here = Path(__file__).parent
    try:
        git = ["git", "-C", str(here)]
        run = subprocess.run(  # noqa: S603
            [*git, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return run.stdout.strip() if run.returncode == 0 else None
