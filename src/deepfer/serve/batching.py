"""Requests of several clients share batches of the network."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from deepfer.pipeline import Prepared, Recognizer
from deepfer.prior import Prior
from deepfer.types import Prediction

_BATCH = 64  # photos

T = TypeVar("T")


class BusyError(Exception):
    """More is waiting than the service takes."""


class SharedRecognizer:
    """Recognises photos of many clients: prepared in threads, classified together.

    While a batch is classified the next one gathers, so that nobody waits for a batch to fill.

    Args:
        recognizer: What finds and classifies faces.
        waiting: Images at work or in line before `BusyError`.
        observe: Called with the number of photos of every batch.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        waiting: int,
        observe: Callable[[int], None] = lambda photos: None,
    ) -> None:
        self.recognizer = recognizer
        self.at_work = 0
        self._waiting, self._observe = waiting, observe
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="deepfer")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="deepfer-network")
        self._line: list[tuple[Prepared, Prior, asyncio.Future[Prediction]]] = []
        self._classifying: asyncio.Task[None] | None = None

    @contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Take places for so many images, all or none.

        Raises:
            BusyError: Too many are waiting.
        """
        if self.at_work + count > self._waiting:
            raise BusyError
        self.at_work += count
        try:
            yield
        finally:
            self.at_work -= count

    async def run(self, work: Callable[[], T]) -> T:
        """Do one image's work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def recognize(self, data: bytes, name: str, prior: Prior | None = None) -> Prediction:
        """Recognise all faces of one photo.

        Args:
            data: The bytes of an image file.
            name: What the result calls it.
            prior: How often each expression is expected; the recogniser's own by default.

        Raises:
            InputError: The photo cannot be read.
        """
        prepared = await self.run(partial(self.recognizer.prepare, data, name))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Prediction] = loop.create_future()
        self._line.append((prepared, prior or self.recognizer.classifier.prior, answer))
        if self._classifying is None or self._classifying.done():
            self._classifying = loop.create_task(self._classify())
        return await answer

    async def _classify(self) -> None:
        loop = asyncio.get_running_loop()
        while self._line:
            batch, self._line = self._line[:_BATCH], self._line[_BATCH:]
            self._observe(len(batch))
            photos = [prepared for prepared, _, _ in batch]
            priors = [prior for _, prior, _ in batch]
            # a thread of its own: it must not stand in line behind photos to be decoded
            work = loop.run_in_executor(self._network, self.recognizer.classify, photos, priors)
            try:
                found = list(zip(batch, await work, strict=True))
            except Exception as error:  # each client must hear of it, and the line goes on
                for _, _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, _, answer), prediction in found:
                if not answer.done():  # a client may have given up
                    answer.set_result(prediction)
