"""Who may ask, and that whoever is refused hears why."""

import json
import socket
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from deepfer import Recognizer
from deepfer.serve.app import create_app
from deepfer.serve.limits import Limits
from pages import running

_FORM = {"file": ("a.png", b"no image")}


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The address of a service with a token, without that."""
    with running(
        "serve", "--max-megabytes", 1, "--timeout", 20, environment={"DEEPFER_TOKEN": "a+b/c="}
    ) as told:
        address, _, fragment = told.partition("#")
        assert fragment == "token=a%2Bb%2Fc%3D"
        yield address


def _app(*origins: str) -> TestClient:
    app = create_app(Recognizer(), limits=Limits(), hosts=("*",), origins=origins)
    return TestClient(app, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),  # a program
        ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://faces.example", "host": "faces.example"}, False),  # behind a proxy
        ({"origin": "https://faces.example", "host": "faces.example:443"}, False),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}, True),
        ({"origin": "http://sub.localhost:8000", "host": "localhost:8000"}, True),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "null", "host": ""}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
    ],
)
def test_pages_from_elsewhere_are_refused(headers: dict[str, str], *, refused: bool) -> None:
    client = _app()
    for path in ("/v1/recognize", "/v1/explain"):
        answer = client.post(path, files=_FORM, headers=headers)
        assert answer.status_code == (403 if refused else 422)
        if refused:
            assert "--allow-origin" in answer.json()["error"]
    assert client.get("/v1/model", headers=headers).status_code == (403 if refused else 200)
    assert client.get("/", headers=headers).status_code == 200  # a link to the page is fine


def test_pages_that_may_ask() -> None:
    origin = {"origin": "https://example.org", "sec-fetch-site": "cross-site"}
    client = _app("https://example.org")
    answer = client.post("/v1/recognize", files=_FORM, headers=origin)
    assert answer.status_code == 422
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    assert client.options("/v1/recognize", headers=origin | asks).status_code == 200
    other = {"origin": "https://example.net"}
    assert client.post("/v1/recognize", files=_FORM, headers=other).status_code == 403
    assert _app("*").post("/v1/recognize", files=_FORM, headers=other).status_code == 422


def test_origins_are_checked_at_the_start(deepfer: object) -> None:
    for wrong in ("example.org", "https://example.org/"):
        done = deepfer("serve", "--allow-origin", wrong, "--no-open")  # type: ignore[operator]
        assert done.returncode == 2
        assert wrong in done.stderr


def _sent(address: str, *parts: bytes) -> bytes:
    """Send parts of a request, each as one, and return all that is answered."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        got = b""
        while part := connection.recv(65536):
            got += part
    return got


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (b"/v1/recognize", b"", 401),
        (b"/v1/recognize", b"Authorization: Bearer a+b/c=\r\n", 413),
        (b"/v1/recognize", b"Authorization: Bearer a+b/c=\r\nOrigin: http://evil\r\n", 403),
        (b"/v1/recognize", b"Origin: http://evil\r\n", 403),
        (b"/v1/recognize?prior=x", b"Authorization: Bearer a+b/c=\r\n", 422),
        (b"/nowhere", b"", 405),
    ],
)
def test_a_refusal_is_heard_after_a_long_body(
    guarded: str, path: bytes, headers: bytes, status: int
) -> None:
    length = 6_000_000
    head = (
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n%s\r\n" % (path, length, headers)
    )
    answer = _sent(guarded, head, *[b"x" * 1_000_000] * 6)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_refusal_before_the_body_ends_the_connection(guarded: str) -> None:
    head = (
        b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n"
        b"Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    answer = _sent(guarded, head)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_token(guarded: str) -> None:
    refused = httpx.post(f"{guarded}v1/recognize", files=_FORM)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    for given in ("Bearer no", "a+b/c=", "Basic a+b/c=", "Bearer", "Bearer a+b/c=x", "Bearer é"):
        headers = {"authorization": given.encode("latin-1")}
        assert httpx.get(f"{guarded}v1/model", headers=headers).status_code == 401
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{scheme} a+b/c=".encode()}
        assert httpx.get(f"{guarded}v1/model", headers=headers).status_code == 200
    assert httpx.get(f"{guarded}healthz").is_success


def test_head_is_answered_where_get_is(guarded: str) -> None:
    right = {"authorization": "Bearer a+b/c="}
    for path in ("", "healthz", "metrics", "openapi.json", "v1/model", "style.css"):
        got = httpx.get(guarded + path, headers=right)
        head = httpx.head(guarded + path, headers=right)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert httpx.head(f"{guarded}v1/model").status_code == 401
    described = httpx.get(f"{guarded}openapi.json").json()["paths"]
    assert set(described["/healthz"]) == {"get"}


def test_a_body_has_one_length(guarded: str) -> None:
    head = (
        b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    answer = _sent(guarded, head, b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def test_only_forms_are_forms() -> None:
    client = _app()
    body = client.build_request("POST", "/v1/recognize", files=_FORM)
    kind = body.headers["content-type"]
    for known, status in ((kind.replace("multipart", "Multipart"), 422), (kind, 422)):
        headers = {"content-type": known}
        answer = client.post("/v1/recognize", content=body.read(), headers=headers)
        assert answer.status_code == status
    headers = {"content-type": kind.replace("form-data", "form-dataX")}
    assert client.post("/v1/recognize", content=body.read(), headers=headers).status_code == 415


def test_the_description_says_how_many_images() -> None:
    paths = _app().get("/openapi.json").json()["paths"]
    for path, most in (("/v1/recognize", 64), ("/v1/explain", 1)):
        content = paths[path]["post"]["requestBody"]["content"]["multipart/form-data"]
        files = content["schema"]["properties"]["file"]
        assert (files["minItems"], files["maxItems"]) == (1, most)
