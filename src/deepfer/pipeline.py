"""The main path: photo, faces, aligned crops, network input, probabilities, result.

Only this file knows the order of the stages; the stages do not know each other.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfer.align import cut_face
from deepfer.certainty import possible
from deepfer.classify import Classifier
from deepfer.detect import TILE, FaceDetector, resized, whole_picture
from deepfer.errors import InputError
from deepfer.find import QUICK, FaceFinder
from deepfer.labels import Expression
from deepfer.media import MAX_PIXELS, Photo, Source, decode_photo, finest, rereadable, source_name
from deepfer.memory import Lease, lease
from deepfer.preprocess import to_pixels
from deepfer.prior import PHOTOS, Prior, PriorLike
from deepfer.quality import qualities
from deepfer.types import Face, FaceExpression, Image, Prediction, Quality

_PER_PIXEL, _PER_SEARCHED = 4, 50  # bytes, measured: colour and gray; the detector's own
_GROUP = 16  # photos whose faces are classified together


@dataclass(frozen=True, slots=True)
class Prepared:
    """A photo after detection.

    Attributes:
        source: What the result calls it.
        width: Pixels.
        height: Pixels.
        faces: Best detector score first.
        pixels: uint8 (N, H, W), the faces as the network sees them.
    """

    source: str
    width: int
    height: int
    faces: list[Face]
    pixels: NDArray[np.uint8]


class _Decoder:
    """Decodes one photo as finely as it is asked for, and holds the memory that this takes.

    Args:
        source: As for `Recognizer.recognize`.
        name: What messages call it.
        max_pixels: As for `Recognizer`.
        held: What memory is taken from.
    """

    def __init__(self, source: Source, name: str, max_pixels: int, held: Lease) -> None:
        self._source, self._name = source, name
        self._max_pixels, self._held = max_pixels, held
        self._last: Photo | None = None

    def __call__(self, long_side: int | None) -> Photo:
        """Return the photo with a long side of at least so many pixels, if it has them."""
        last, self._last = self._last, None
        tile = TILE if long_side is None or long_side > 2 * QUICK else QUICK
        if last is not None and last.divisor <= finest(last.width, last.height):
            self._reserve(0, last.pixels.shape[0] * last.pixels.shape[1], tile)
            self._last = last
            return last
        last = None
        self._last = decode_photo(
            self._source,
            self._name,
            long_side=long_side,
            max_pixels=self._max_pixels,
            reserve=lambda size, pixels: self._reserve(size, pixels, tile),
        )
        return self._last

    def _reserve(self, decoding: int, pixels: int, tile: int) -> None:
        searching = _PER_PIXEL * pixels + _PER_SEARCHED * min(pixels, tile * tile)
        self._held.take(max(decoding, searching))


class Recognizer:
    """Finds faces in photos and tells their expressions.

    Args:
        model: ``ferplus`` or ``fer2013``, which come with the package, or a model file;
            ``ferplus`` by default. A classifier is taken as it is, with its prior.
        prior: How often each expression is expected: ``photos`` as in photos, ``balanced``, or own
            shares; see `deepfer.prior.read_prior`.
        min_certainty: Answers of at least this probability (0 to 1) count as certain; the model
            file's own by default.
        detect: False to take each photo as one face crop, without searching it.
        min_score: Faces whose detector score (0 to 1) is below are left out.
        min_face: Faces narrower than this many pixels are left out.
        detect_size: Long side in pixels at which photos are searched once, for upright faces only,
            as `FaceDetector` does, which saves time where photos show none, or small or turned
            ones. By default every face that a person would find is looked for; see `FaceFinder`.
        max_pixels: Larger photos are refused before they are decoded.

    Attributes:
        classifier: What classifies the face crops.
        find: What finds faces in uint8 pixels, (H, W) or (H, W, 3) RGB.
        detect_size: As given.
        min_certainty: As given, or the model file's.

    Raises:
        ModelFileError: The model file cannot be used.
        UnknownNameError: There is no such model and no such file.
        InputError: A number is out of range, or the prior cannot be used with the model.

    Example:
        >>> from deepfer import Recognizer
        >>> prediction = Recognizer().recognize("examples/astronaut.png")
        >>> str(prediction.faces[0].expression)
        'happy'
    """

    def __init__(
        self,
        model: str | Path | Classifier | None = None,
        *,
        prior: PriorLike = PHOTOS,
        min_certainty: float | None = None,
        detect: bool = True,
        min_score: float = 0.75,
        min_face: int = 0,
        detect_size: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not 0 <= min_score <= 1 or (detect_size is not None and detect_size < 1):
            raise InputError(
                f"min_score {min_score}, detect_size {detect_size}: expected 0 to 1, and a size in "
                "pixels"
            )
        if min_certainty is not None and not 0 <= min_certainty <= 1:
            raise InputError(f"min_certainty {min_certainty}: expected 0 to 1")
        self.classifier = model if isinstance(model, Classifier) else Classifier(model, prior)
        info = self.classifier.info
        self.min_certainty = info.certainty if min_certainty is None else min_certainty
        self.find: Callable[[Image], list[Face]]
        if not detect:
            self.find = whole_picture
        elif detect_size is None:
            self.find = FaceFinder(min_score=min_score)
        else:
            self.find = FaceDetector(min_score=min_score, long_side=detect_size)
        self._min_face, self._max_pixels = min_face, max_pixels
        self.detect_size = detect_size

    @property
    def model(self) -> str:
        """The name of the model that classifies."""
        return self.classifier.info.name

    @property
    def prior(self) -> str:
        """How often each expression is expected, as results say it."""
        return self.classifier.prior.text

    @property
    def labels(self) -> tuple[Expression, ...]:
        """The expressions that the model tells apart."""
        return self.classifier.info.labels

    def recognize(self, source: Source) -> Prediction:
        """Recognise all faces of one photo.

        Args:
            source: A path, the bytes of an image file, a Pillow image, or uint8 pixels (H, W)
                or (H, W, 3) RGB.

        Raises:
            InputError: The photo cannot be read.
        """
        return self.classify([self.prepare(source)])[0]

    def recognize_crops(self, source: Source) -> tuple[Prediction, NDArray[np.uint8]]:
        """Recognise all faces of one photo, and return them as the network saw them.

        Args:
            source: As for `recognize`.

        Returns:
            The prediction, and uint8 (N, H, W) aligned gray faces in its order.
        """
        prepared = self.prepare(source)
        return self.classify([prepared])[0], prepared.pixels

    def recognize_many(
        self, sources: Iterable[Source], *, workers: int | None = None
    ) -> Iterator[Prediction | InputError]:
        """Recognise many photos: prepared in parallel, classified in batches.

        Memory does not grow with the number of photos.

        Args:
            sources: As for `recognize`.
            workers: Photos that are prepared at the same time; the number of cores by default.

        Yields:
            One result per source, in order. For a photo that cannot be read it is the error,
            which the caller may raise, tell or count.
        """
        pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        try:
            waiting = iter(sources)
            queue: deque[Future[Prepared | InputError]] = deque(
                pool.submit(self._try, source) for source in islice(waiting, 2 * _GROUP)
            )
            while queue:
                group = [queue.popleft().result() for _ in range(min(len(queue), _GROUP))]
                queue.extend(pool.submit(self._try, s) for s in islice(waiting, len(group)))
                done = iter(self.classify([p for p in group if isinstance(p, Prepared)]))
                for item in group:
                    yield next(done) if isinstance(item, Prepared) else item
        finally:
            pool.shutdown(cancel_futures=True)

    def _try(self, source: Source) -> Prepared | InputError:
        try:
            return self.prepare(source)
        except InputError as error:
            return error

    def prepare(self, source: Source, name: str | None = None) -> Prepared:
        """Do the first half of `recognize`, up to the faces; threads may do it side by side.

        Args:
            source: As for `recognize`.
            name: What the result calls the photo; the path by default.

        Raises:
            InputError: The photo cannot be read.
        """
        spec = self.classifier.info.input
        name, source = name or source_name(source), rereadable(source)
        with lease() as held:
            decode = _Decoder(source, name, self._max_pixels, held)
            photo, found = self._search(decode)
            if photo.divisor > 1 and any(face.box[2] < spec.width for face in found):
                before, photo = photo, decode(None)  # small faces need all their pixels
                zoom, (high, wide) = before.divisor / photo.divisor, photo.pixels.shape[:2]
                found = [resized(face, zoom, (wide, high)) for face in found]
            crops = self.crops(photo.pixels, found)
        size = photo.width, photo.height
        faces = [resized(face, photo.divisor, size) for face in found]
        return Prepared(name, *size, faces, crops)

    def _search(self, decode: "_Decoder") -> tuple[Photo, list[Face]]:
        """Return the photo, decoded as finely as its faces need, and the faces in its pixels."""
        if isinstance(self.find, FaceFinder):
            photo, faces = self.find.search(decode)
        else:
            photo = decode(self.detect_size or QUICK)
            faces = self.find(photo.pixels)
        return photo, [face for face in faces if face.box[2] * photo.divisor >= self._min_face]

    def crops(self, photo: Image, faces: Sequence[Face]) -> NDArray[np.uint8]:
        """Return faces of a photo as the network sees them.

        Args:
            photo: uint8 (H, W) or (H, W, 3) RGB.
            faces: N faces, in pixels of `photo`.

        Returns:
            uint8 (N, H, W), gray, aligned.
        """
        spec = self.classifier.info.input
        return to_pixels([cut_face(photo, face, spec.height) for face in faces], spec)

    def describe(
        self,
        faces: Sequence[Face],
        pixels: NDArray[np.uint8],
        priors: Sequence[Prior] | None = None,
    ) -> list[FaceExpression]:
        """Tell the expressions of faces, how certain they are, and what makes the faces hard.

        Args:
            faces: N faces, in pixels of their photos.
            pixels: uint8 (N, H, W), from `crops`.
            priors: One per face; the recogniser's own by default.
        """
        priors = priors or [self.classifier.prior] * len(faces)
        rows = self.classifier.under(PHOTOS)(pixels)
        answers = [own(row[None])[0].tolist() for own, row in zip(priors, rows, strict=True)]
        seen = qualities(faces, pixels)
        return [
            self._answer(face, dict(zip(self.labels, row, strict=True)), quality)
            for face, row, quality in zip(faces, answers, seen, strict=True)
        ]

    def with_probabilities(self, face: FaceExpression, values: Sequence[float]) -> FaceExpression:
        """Return a face with other probabilities, in the order of `labels`: certainty follows."""
        return self._answer(face.face, dict(zip(self.labels, values, strict=True)), face.quality)

    def _answer(
        self, face: Face, probabilities: dict[Expression, float], quality: Quality
    ) -> FaceExpression:
        certain = max(probabilities.values()) >= self.min_certainty
        seen = possible(probabilities, self.classifier.info.set_mass)
        return FaceExpression(face, probabilities, certain, seen, quality)

    def classify(
        self, photos: Sequence[Prepared], priors: Sequence[Prior] | None = None
    ) -> list[Prediction]:
        """Do the second half of `recognize` for several photos in one go.

        Args:
            photos: From `prepare`.
            priors: One per photo; the recogniser's own by default.
        """
        if not photos:
            return []
        priors = priors or [self.classifier.prior] * len(photos)
        of_faces = [p for p, photo in zip(priors, photos, strict=True) for _ in photo.faces]
        faces = [face for photo in photos for face in photo.faces]
        pixels = np.concatenate([photo.pixels for photo in photos])
        rows = iter(self.describe(faces, pixels, of_faces))
        return [
            Prediction(
                source=photo.source,
                width=photo.width,
                height=photo.height,
                model=self.model,
                prior=prior.text,
                labels=self.labels,
                faces=tuple(islice(rows, len(photo.faces))),
            )
            for photo, prior in zip(photos, priors, strict=True)
        ]
