"""Measure `deepfer serve` under many clients at once.

    python benchmarks/load.py [--clients 50] [--seconds 60] [--json FILE]

Each client sends the 512x512 portrait as JPEG, again as soon as it is answered; service and clients
share the machine. Afterwards the memory that the service holds is read.
"""

import argparse
import asyncio
import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.png"


async def load(address: str, clients: int, seconds: float, photo: bytes) -> dict[str, float]:
    """Keep the service busy; return what the clients saw."""
    times: list[float] = []
    errors = 0
    end = time.monotonic() + seconds

    async def ask(client: httpx2.AsyncClient) -> None:
        nonlocal errors
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                answer = await client.post(
                    f"{address}v1/recognize", files={"file": ("a.jpg", photo)}
                )
                right = answer.status_code == 200 and len(answer.json()["faces"]) == 1
            except httpx2.HTTPError:
                right = False
            times.append(time.perf_counter() - began)
            errors += not right

    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        await asyncio.gather(*(ask(client) for _ in range(clients)))
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(times),
        "errors": errors,
        "requests per second": len(times) / seconds,
        "p50 (ms)": 1000 * float(np.percentile(times, 50)),
        "p99 (ms)": 1000 * float(np.percentile(times, 99)),
    }


def memory(process: int) -> float:
    """Return the peak memory of a Linux process in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Start a service, keep it busy, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    buffer = io.BytesIO()
    Image.open(ASTRONAUT).convert("RGB").save(buffer, "JPEG", quality=90)
    command = [sys.executable, "-m", "deepfer", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:  # noqa: S603
        try:
            told = service.stderr.readline() if service.stderr else ""
            found = re.search(r"http://\S+", told)
            if found is None:
                sys.exit(f"the service did not start: {told}")
            work = load(found[0], options.clients, options.seconds, buffer.getvalue())
            figures = asyncio.run(work)
            figures["peak memory (MB)"] = memory(service.pid)
        finally:
            service.terminate()
    print(json.dumps(figures, indent=1))  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
