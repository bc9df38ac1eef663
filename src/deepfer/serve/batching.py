"""Requests of several clients share batches of the network."""

import asyncio
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from deepfer.media import open_picture
from deepfer.pipeline import Prepared, Recognizer
from deepfer.prior import Prior
from deepfer.serve.turns import Turns
from deepfer.types import Prediction

CORES = os.cpu_count() or 1
_BATCH = 64  # photos
_LANES = (4_000_000, CORES, 0), (16_000_000, (CORES + 1) // 2, 5), (math.inf, 1, 5)
"""Sizes up to so many pixels, how many of them are prepared at a time, and how nicely. What is
small finds a thread of its own, whatever the others do; most phones' photos have 12 million."""

T = TypeVar("T")


class BusyError(Exception):
    """More is waiting than the service takes."""


class SharedRecognizer:
    """Recognises photos of many clients: prepared in threads, classified together.

    While a batch is classified the next one gathers, so that nobody waits for a batch to fill.
    Small pictures are prepared before larger ones and beside them, and the largest one at a time,
    so that neither time nor memory is theirs alone.

    Args:
        recognizer: What finds and classifies faces.
        waiting: Requests at work or in line before `BusyError`.
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
        self._requests = 0
        # a thread may keep the memory that it once needed: one more reason for lanes
        self._lanes = [
            (size, Turns(places), ThreadPoolExecutor(places, "deepfer", _be_nice, (niceness,)))
            for size, places, niceness in _LANES
        ]
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="deepfer-headers")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="deepfer-network")
        self._line: list[tuple[Prepared, Prior, asyncio.Future[Prediction]]] = []
        self._classifying: asyncio.Task[None] | None = None

    @contextmanager
    def place(self, images: int) -> Iterator[None]:
        """Take a place for a request with so many images.

        Raises:
            BusyError: Too many are waiting.
        """
        if self._requests >= self._waiting:
            raise BusyError
        self._requests += 1
        self.at_work += images
        try:
            yield
        finally:
            self._requests -= 1
            self.at_work -= images

    async def sizes(self, images: Sequence[bytes]) -> list[int]:
        """Return the pixels of image files as their headers have it; 0 of what is no image."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._headers, lambda: list(map(_size, images)))

    async def run(self, work: Callable[[], T], size: int) -> T:
        """Do one image's work in a thread, when its turn has come.

        Args:
            work: What to do.
            size: Pixels of the image.
        """
        turns, pool = next((turns, pool) for most, turns, pool in self._lanes if size <= most)
        await turns.take(size)
        job = asyncio.get_running_loop().run_in_executor(pool, work)

        def ended(job: asyncio.Future[T]) -> None:
            turns.give_back()
            if not job.cancelled():
                job.exception()  # heard of, though perhaps nobody waits any more

        # threads cannot be stopped: the place is taken until the work ends
        job.add_done_callback(ended)
        return await asyncio.shield(job)

    async def recognize(
        self, data: bytes, name: str, prior: Prior | None = None, *, size: int = 0
    ) -> Prediction:
        """Recognise all faces of one photo.

        Args:
            data: The bytes of an image file.
            name: What the result calls it.
            prior: How often each expression is expected; the recogniser's own by default.
            size: Pixels of the photo, from `sizes`.

        Raises:
            InputError: The photo cannot be read.
        """
        prepared = await self.run(partial(self.recognizer.prepare, data, name), size)
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


def _be_nice(niceness: int) -> None:
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.nice(niceness)


def _size(data: bytes) -> int:
    try:
        with open_picture(data) as picture:
            return picture.width * picture.height
    except Exception:  # told on decoding
        return 0
