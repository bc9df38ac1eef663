"""The service: a page for people, ``/v1`` for programs."""

import asyncio
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from deepfer import __version__
from deepfer.errors import DeepferError, InputError
from deepfer.explain import report as explanation_report
from deepfer.explain.methods import explain
from deepfer.explain.regions import face_regions, region_shares
from deepfer.pipeline import Recognizer
from deepfer.prior import Prior, read_prior
from deepfer.report import SCHEMA, to_json
from deepfer.serve import schema
from deepfer.serve.batching import CORES, BusyError, SharedRecognizer
from deepfer.serve.guard import Drained, Guarded
from deepfer.serve.headers import Secured
from deepfer.serve.limits import Limits
from deepfer.serve.metrics import Measured, Metrics
from deepfer.serve.uploads import Uploads

STATIC = Path(__file__).parent / "static"
_DRAIN = 8  # so many times the largest body is read of one that is refused
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def _form(most: int) -> dict[str, Any]:
    """Describe the body of a request with up to so many images."""
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": most,
    }
    form = {"type": "object", "required": ["file"], "properties": {"file": files}}
    content = {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


_Prior = Annotated[
    str | None,
    Query(description="photos, balanced or shares such as happy=0.3,sad=0.2,..."),
]
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ErrorAnswer} for status in (400, 401, 403, 408, 413, 415, 422, 503)
}


def create_app(
    recognizer: Recognizer,
    *,
    limits: Limits,
    token: str | None = None,
    hosts: tuple[str, ...] = LOOPBACK,
    origins: tuple[str, ...] = (),
) -> FastAPI:
    """Return the service.

    Args:
        recognizer: What finds and classifies faces. Its own limit of pixels is the one that holds.
        limits: What one request may ask for.
        token: What clients must send as ``Authorization: Bearer TOKEN``; None for nothing.
        hosts: Names under which the service answers, so that no web page elsewhere can reach it
            under a name of its own; ``("*",)`` for any.
        origins: Whose web pages may use the service, beside its own, such as
            ``https://example.org``; ``("*",)`` for any.
    """
    metrics = Metrics()
    shared = SharedRecognizer(
        recognizer, waiting=limits.waiting, observe=lambda n: metrics.batches.observe(n)
    )
    uploads = Uploads(limits)
    metrics.at_work.set_function(lambda: shared.at_work)

    async def allowed(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = scheme.lower() == "bearer"
        sent = given.strip(" ").encode("latin-1")  # as it was
        if token is not None and not (known and secrets.compare_digest(sent, token.encode())):
            raise HTTPException(
                401, "send the service's token: 'Authorization: Bearer TOKEN'", _ASK_TOKEN
            )

    def asked_prior(text: str | None) -> Prior:
        known = recognizer.classifier
        return known.prior if text is None else read_prior(text, known.info)

    app = FastAPI(
        title="deepfer",
        version=__version__,
        description="Facial expressions in images. Nothing that is sent is kept.",
        docs_url=None,  # their scripts come from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guarded, paths=("/v1/",), origins=origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
        )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Secured)
    app.add_middleware(Drained, most=_DRAIN * limits.max_bytes, seconds=limits.seconds)
    app.add_middleware(Measured, metrics=metrics)

    @app.post(
        "/v1/recognize",
        dependencies=[Depends(allowed)],
        openapi_extra=_form(limits.max_images),
        responses={
            **_ERRORS,
            200: {
                "model": schema.ImageAnswer | list[schema.ImageAnswer | schema.ImageError],
                "description": "One image: its faces. Several: a list in the same order.",
            },
        },
    )
    async def recognize(request: Request, prior: _Prior = None) -> Response:
        """Find faces in one or many images and tell their expressions."""
        asked = asked_prior(prior)

        taken = asyncio.Semaphore(CORES)  # of one request; others' pictures come in between

        async def one(name: str, data: bytes, size: int, until: int) -> dict[str, Any] | InputError:
            if until > limits.max_together:
                metrics.images.labels("refused").inc()
                most = f"{limits.max_together:,} pixels together"
                return InputError(f"{name}: the request has more than {most}; send fewer at once")
            try:
                async with taken:
                    prediction = await shared.recognize(data, name, asked, size=size)
            except InputError as error:
                metrics.images.labels("unreadable").inc()
                return error
            metrics.images.labels("recognized").inc()
            for face in prediction.faces:
                metrics.faces.labels(str(face.expression)).inc()
            return to_json(prediction)

        async def all_of(images: list[tuple[str, bytes]]) -> list[dict[str, Any] | InputError]:
            sizes = await shared.sizes([data for _, data in images])
            until = accumulate(size if size <= limits.max_pixels else 0 for size in sizes)
            work = (one(*image, *of) for image, *of in zip(images, sizes, until, strict=True))
            return await asyncio.gather(*work)

        async with uploads.images(request) as images:
            with shared.place(len(images)):
                found = await _in_time(all_of(images), limits)
        if len(found) > 1:
            return _answer(
                [
                    {"schema": SCHEMA, "source": name, "error": str(result)}
                    if isinstance(result, InputError)
                    else result
                    for (name, _), result in zip(images, found, strict=True)
                ]
            )
        if isinstance(found[0], InputError):
            raise found[0]
        return _answer(found[0])

    @app.post(
        "/v1/explain",
        dependencies=[Depends(allowed)],
        openapi_extra=_form(1),
        responses={**_ERRORS, 200: {"model": schema.ExplanationAnswer}},
    )
    async def explain_face(
        request: Request,
        face: Annotated[int, Query(ge=1, description="Number of the face, from 1")] = 1,
        target: Annotated[str | None, Query(description="The expression to explain")] = None,
        prior: _Prior = None,
    ) -> Response:
        """Show which parts of one face decided, by occlusion."""
        asked = asked_prior(prior)
        async with uploads.images(request) as images:
            if len(images) != 1:
                raise HTTPException(400, f"send one image, not {len(images)}")
            with shared.place(1):
                size = await shared.sizes([images[0][1]])
                work = partial(_explained, recognizer, *images[0], face, target, asked)
                return _answer(await _in_time(shared.run(work, *size), limits))

    @app.head("/v1/model", dependencies=[Depends(allowed)], include_in_schema=False)
    @app.get(
        "/v1/model",
        dependencies=[Depends(allowed)],
        responses={
            401: _ERRORS[401],
            403: _ERRORS[403],
            200: {"model": schema.ModelAnswer},
        },
    )
    async def model() -> Response:
        """Tell which model answers, what it was trained on and how good it is."""
        info = recognizer.classifier.info
        return _answer({**asdict(info), "default_prior": recognizer.prior})

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Tell that the service is up."""
        return {"status": "ok"}

    @app.head("/metrics", include_in_schema=False)
    @app.get("/metrics", response_class=Response)
    async def prometheus() -> Response:
        """Tell what happened so far, in Prometheus' text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    for kind in (HTTPException, RequestValidationError, BusyError, DeepferError, Exception):
        app.add_exception_handler(kind, _error)
    # what no route above knows; mounted, it would also take those asked with another method
    app.router.default = StaticFiles(directory=STATIC, html=True)
    return app


_ASK_TOKEN = {"WWW-Authenticate": "Bearer"}
_LATER = {"Retry-After": "1"}


async def _in_time(work: Awaitable[Any], limits: Limits) -> Any:
    try:
        async with asyncio.timeout(limits.seconds):
            return await work
    except TimeoutError:
        told = f"the answer took more than {limits.seconds:g} s; try again"
        raise HTTPException(503, told, _LATER) from None


def _explained(
    recognizer: Recognizer, name: str, data: bytes, face: int, target: str | None, prior: Prior
) -> dict[str, Any]:
    prepared = recognizer.prepare(data, name)
    if face > len(prepared.faces):
        raise InputError(f"{name}: has {len(prepared.faces)} face(s), none with number {face}")
    classifier = recognizer.classifier.under(prior)
    explanation = explain(prepared.pixels[face - 1], target=target, model=classifier)
    shares = region_shares(explanation.evidence, face_regions(*explanation.face.shape))
    pixels = explanation.face.tolist()
    return {
        **explanation_report.to_json(explanation, shares),
        "face": face,
        "prior": prior.text,
        "pixels": pixels,
    }


def _answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})


async def _error(request: Request, error: Exception) -> Response:
    """Answer any refusal in one form: ``{"error": "one line"}``."""
    match error:
        case HTTPException():
            return _answer({"error": error.detail}, error.status_code, error.headers)
        case RequestValidationError():
            problems = (f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
            return _answer({"error": "; ".join(problems)}, 422)
        case BusyError():
            busy = {"error": "too many requests are waiting; try again"}
            return _answer(busy, 503, _LATER)
        case DeepferError():
            return _answer({"error": str(error)}, 422)
        case _:
            return _answer({"error": "the service failed; its log says why"}, 500)
