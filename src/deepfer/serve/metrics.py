"""What a service tells Prometheus about itself."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/v1/recognize", "/v1/explain", "/v1/model", "/healthz", "/metrics")
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters and histograms of one service, apart from those of others in the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "deepfer_requests", "Requests answered", ("path", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "deepfer_request_seconds",
            "From the first byte of a request to the last of its answer",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter(
            "deepfer_images", "Images looked at", ("outcome",), registry=self._registry
        )
        self.faces = Counter(
            "deepfer_faces", "Faces by expression", ("expression",), registry=self._registry
        )
        self.batches = Histogram(
            "deepfer_batch_images",
            "Images classified together",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self.at_work = Gauge(
            "deepfer_images_at_work", "Images at work or in line", registry=self._registry
        )

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """Middleware that counts and times requests.

    Args:
        app: The service.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            # names that clients make up must not become labels
            path = scope["path"] if scope["path"] in PATHS else "other"
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)
