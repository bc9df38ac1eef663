"""The REST service: answers, limits, and what bad clients get."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from deepfer import Recognizer, report
from deepfer.errors import InputError
from deepfer.serve.app import create_app
from deepfer.serve.batching import BusyError, SharedRecognizer
from deepfer.serve.limits import Limits
from deepfer.serve.schema import ExplanationAnswer, ImageAnswer, ModelAnswer
from deepfer.serve.turns import Turns


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=30) as client:
        yield client


def _png(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, 128).save(buffer, "PNG")
    return buffer.getvalue()


def test_one_image_gets_what_predict_prints(
    client: httpx.Client, astronaut: Path, recognizer: Recognizer
) -> None:
    answer = client.post("/v1/recognize", files={"file": ("a.png", astronaut.read_bytes())})
    assert answer.status_code == 200
    expected = report.to_json(recognizer.recognize(astronaut)) | {"source": "a.png"}
    assert answer.json() == expected
    assert ImageAnswer.model_validate(answer.json()).faces[0].expression == "happy"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_many_images_are_answered_in_order(client: httpx.Client, astronaut: Path) -> None:
    images = [
        ("file", ("one.png", astronaut.read_bytes())),
        ("file", ("two.txt", b"not an image")),
        ("file", ("three.png", _png((64, 64)))),
    ]
    answer = client.post("/v1/recognize", files=images).json()
    assert [entry["source"] for entry in answer] == ["one.png", "two.txt", "three.png"]
    assert len(answer[0]["faces"]) == 1
    assert "not an image" in answer[1]["error"]
    assert answer[2]["faces"] == []


def test_each_request_may_have_its_prior(
    client: httpx.Client, astronaut: Path, recognizer: Recognizer
) -> None:
    files = {"file": ("a.png", astronaut.read_bytes())}
    own = {e: 1.0 + i for i, e in enumerate(recognizer.labels)}
    text = ",".join(f"{e}={share}" for e, share in own.items())
    for asked, prior in (("balanced", "balanced"), (text, own)):
        answer = client.post("/v1/recognize", files=files, params={"prior": asked}).json()
        expected = report.to_json(Recognizer(prior=prior).recognize(astronaut))
        assert answer == expected | {"source": "a.png"}
    found = client.post("/v1/explain", files=files, params={"prior": "balanced"}).json()
    even = Recognizer(prior="balanced").recognize(astronaut).faces[0]
    assert found["prior"] == "balanced"
    assert found["probabilities"]["happy"] == pytest.approx(even.probability, abs=0.02)
    refused = client.post("/v1/recognize", files=files, params={"prior": "happy=1"})
    assert refused.status_code == 422
    assert "one share for each of" in refused.json()["error"]


def test_explanation(client: httpx.Client, astronaut: Path) -> None:
    files = {"file": ("a.png", astronaut.read_bytes())}
    answer = client.post("/v1/explain", files=files, params={"target": "sad"})
    found = ExplanationAnswer.model_validate(answer.json())
    assert (found.expression, found.target) == ("happy", "sad")
    assert np.shape(found.map) == np.shape(found.pixels) == (48, 48)
    assert sum(found.regions.values()) == pytest.approx(1, abs=0.01)
    for query, said in (
        ({"face": "2"}, "1 face"),
        ({"target": "bored"}, "bored"),
        ({"face": "0"}, "face"),
    ):
        refused = client.post("/v1/explain", files=files, params=query)
        assert refused.status_code == 422
        assert said in refused.json()["error"]


def test_what_the_service_tells_of_itself(client: httpx.Client, recognizer: Recognizer) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    model = ModelAnswer.model_validate(client.get("/v1/model").json())
    assert model.name == recognizer.model
    assert model.labels == [str(label) for label in recognizer.labels]
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/v1/recognize", "/v1/explain", "/v1/model", "/healthz", "/metrics"}
    assert "<title>deepfer</title>" in client.get("/").text
    client.get("/made-up-7")
    metrics = client.get("/metrics").text
    assert 'deepfer_requests_total{path="/healthz",status="200"}' in metrics
    assert "made-up" not in metrics


@pytest.mark.parametrize(
    ("name", "data", "status", "said"),
    [
        ("notes.txt", b"just words", 422, "not an image"),
        ("empty.png", b"", 422, "empty"),
        ("bomb.png", _png((3000, 3000)), 422, "2,000,000 pixels"),
        ("cut.png", _png((100, 100))[:60], 422, "damaged"),
        ("../../etc/passwd", b"x", 400, "path"),
        ("folder/a.png", b"x", 400, "path"),
        ("big.jpg", b"x" * 3_000_000, 413, "2,000,000 bytes"),
    ],
)
def test_bad_images(client: httpx.Client, name: str, data: bytes, status: int, said: str) -> None:
    answer = client.post("/v1/recognize", files={"file": (name, data)})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert said in error
    assert "\n" not in error
    assert client.get("/healthz").status_code == 200


def test_bad_requests(client: httpx.Client) -> None:
    assert client.post("/v1/recognize", content=b"{}").status_code == 415
    assert client.post("/v1/recognize", data={"file": "x"}).status_code == 415
    other = client.post("/v1/recognize", files={"photo": ("a.png", b"x")})
    assert (other.status_code, "field 'file'" in other.json()["error"]) == (400, True)
    form = {"content-type": "multipart/form-data"}
    assert client.post("/v1/recognize", content=b"x--", headers=form).status_code == 400
    assert client.get("/nothing/here").status_code == 404
    wrong = client.get("/v1/recognize")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    strange = client.get("/healthz", headers={"host": "evil.example"})
    assert strange.status_code == 400
    strange_name = {"content-type": "multipart/form-data; boundary=b; charset=utf-7"}
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a+2AA-.png"\r\n\r\n'
    part = head + b"x\r\n--b--\r\n"
    assert client.post("/v1/recognize", content=part, headers=strange_name).status_code == 400
    many = [("file", ("a.png", b"x"))] * 65
    assert client.post("/v1/recognize", files=many).status_code == 400


def test_malformed_forms_are_not_logged(
    recognizer: Recognizer, capfd: pytest.CaptureFixture[str]
) -> None:
    app = TestClient(create_app(recognizer, limits=Limits()), base_url="http://localhost")
    form = {"content-type": "multipart/form-data; boundary=b"}
    assert app.post("/v1/recognize", content=b"--c\r\n", headers=form).status_code == 400
    assert capfd.readouterr().err == ""


def _half(service: str, *, close: bool) -> bytes:
    """Send half a body, then close one's own side or just wait; return the answer."""
    host, port = service.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST /v1/recognize HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        connection.sendall(head.encode())
        if close:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(4096)


def test_a_half_sent_body(service: str, client: httpx.Client) -> None:
    assert _half(service, close=True).startswith(b"HTTP/1.1 400")
    began = time.monotonic()
    assert _half(service, close=False).startswith(b"HTTP/1.1 408")
    assert 4 < time.monotonic() - began < 15
    assert client.get("/healthz").status_code == 200


def test_a_client_that_asks_before_it_sends_too_much(service: str) -> None:
    host, port = service.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n"
            b"Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_clients_share_batches(service: str, astronaut: Path) -> None:
    data = astronaut.read_bytes()

    def ask(_: int) -> Any:
        return httpx.post(f"{service}v1/recognize", files={"file": ("a.png", data)}, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(160)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({json.dumps(answer.json()) for answer in answers}) == 1
    told = httpx.get(f"{service}metrics").text
    images = float(told.partition("deepfer_batch_images_sum ")[2].split()[0])
    batches = float(told.partition("deepfer_batch_images_count ")[2].split()[0])
    assert images >= 160
    assert batches < images  # some were classified together


def test_a_full_line_and_a_slow_answer(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = Recognizer()
    files = {"file": ("a.png", astronaut.read_bytes())}
    full = TestClient(create_app(recognizer, limits=Limits(waiting=0), hosts=("*",)))
    busy = full.post("/v1/recognize", files=files)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(recognizer, "classify", lambda photos, priors: time.sleep(1))
    slow = TestClient(create_app(recognizer, limits=Limits(seconds=0.2), hosts=("*",)))
    late = slow.post("/v1/recognize", files=files)
    assert (late.status_code, "0.2 s" in late.json()["error"]) == (503, True)
    assert late.headers["retry-after"] == "1"


def test_a_failing_batch_reaches_every_client(recognizer: Recognizer, astronaut: Path) -> None:
    class Failing(Recognizer):
        def classify(self, photos: Any, priors: Any = None) -> Any:
            raise InputError("broken")

    async def ask() -> list[Any]:
        shared = SharedRecognizer(Failing(), waiting=2)
        data = astronaut.read_bytes()
        requests = (shared.recognize(data, str(i)) for i in range(3))
        return await asyncio.gather(*requests, return_exceptions=True)

    assert [type(error) for error in asyncio.run(ask())] == [InputError] * 3


def test_a_request_takes_one_place_whatever_it_holds(recognizer: Recognizer) -> None:
    shared = SharedRecognizer(recognizer, waiting=2)
    with shared.place(64), shared.place(3):
        assert shared.at_work == 67
        with pytest.raises(BusyError), shared.place(1):
            pass
    assert shared.at_work == 0


def test_small_pictures_go_first(recognizer: Recognizer) -> None:
    done: list[int] = []

    async def ask() -> None:
        turns = Turns(1)

        async def work(size: int) -> None:
            await turns.take(size)
            done.append(size)
            await asyncio.sleep(0)
            turns.give_back()

        tasks = [asyncio.create_task(work(size)) for size in (5, 9, 3, 4, 3)]
        await asyncio.sleep(0)
        tasks[3].cancel()  # in the line
        await asyncio.gather(*tasks, return_exceptions=True)
        first = asyncio.create_task(turns.take(1))
        second = asyncio.create_task(turns.take(1))
        await first
        turns.give_back()
        second.cancel()  # as its turn has come
        await asyncio.gather(second, return_exceptions=True)
        await asyncio.wait_for(turns.take(1), 20)

    asyncio.run(ask())
    assert done == [5, 3, 3, 9]


def test_large_pictures_come_one_at_a_time_and_keep_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    at_work: list[str] = []

    def prepare(data: bytes, name: str) -> Any:
        at_work.append(name)
        if name == "bomb":
            release.wait(20)
        raise InputError(name)

    async def ask() -> None:
        shared = SharedRecognizer(recognizer, waiting=2)
        (size,) = await shared.sizes([_png((7070, 7070))])
        assert size == 7070 * 7070
        assert await shared.sizes([b"no image"]) == [0]
        bombs = [asyncio.create_task(shared.recognize(b"", "bomb", size=size)) for _ in range(64)]
        for _ in range(100):
            with pytest.raises(InputError):
                await shared.recognize(b"", "honest", size=100)
        bombs[0].cancel()  # its client gives up, and its thread works on
        await asyncio.sleep(0.01)
        assert at_work.count("bomb") == 1
        release.set()
        await asyncio.gather(*bombs, return_exceptions=True)

    monkeypatch.setattr(recognizer, "prepare", prepare)
    asyncio.run(ask())
    assert at_work.count("honest") == 100
    assert at_work.count("bomb") == 64
    assert not caplog.records


def test_the_pictures_of_a_request_share_a_budget(recognizer: Recognizer) -> None:
    limits = Limits(max_pixels=10_000, max_together=15_000)
    small = Recognizer(max_pixels=10_000)
    client = TestClient(create_app(small, limits=limits, hosts=("*",)))
    sizes = [(100, 100), (200, 200), (70, 70), (50, 50), (1, 1)]
    images = [("file", (f"{w}.png", _png((w, h)))) for w, h in sizes]
    answers = client.post("/v1/recognize", files=images).json()
    errors = [answer.get("error", "") for answer in answers]
    assert (errors[0], errors[2]) == ("", "")
    assert "10,000 pixels" in errors[1]  # refused anyway, and so it costs nothing
    together = "the request has more than 15,000 pixels together; send fewer at once"
    assert errors[3:] == [f"50.png: {together}", f"1.png: {together}"]


def test_a_thousand_requests_wait_for_their_turn(recognizer: Recognizer) -> None:
    app = create_app(recognizer, limits=Limits(seconds=300), hosts=("*",))

    async def ask() -> set[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            files = {"file": ("a.txt", b"no image")}
            answers = (client.post("/v1/recognize", files=files) for _ in range(1000))
            return {answer.status_code for answer in await asyncio.gather(*answers)}

    assert asyncio.run(ask()) == {422}


def test_a_port_that_is_taken(service: str, deepfer: Any) -> None:
    port = service.rstrip("/").rpartition(":")[2]
    done = deepfer("serve", "--port", port, "--no-open")
    assert done.returncode == 1
    assert "is taken; choose another --port" in done.stderr
