"""The answers of the service, for its OpenAPI description; the library makes them elsewhere."""

from pydantic import BaseModel, Field

from deepfer.quality import NOTES

_BOX = "x, y, width, height in pixels of the image, after EXIF rotation"
_NAMES = ", ".join(NOTES)
_PROBABILITIES = "Per expression, 0 to 1, summing to 1"


class PoseAnswer(BaseModel):
    """Where a face is turned, in degrees."""

    yaw: float = Field(description="Above 0 where it looks to the picture's right")
    pitch: float = Field(description="Above 0 where it looks up")
    roll: float = Field(description="Above 0 where it is tilted clockwise")


class FaceAnswer(BaseModel):
    """One face; `deepfer.report.face_record` makes it."""

    box: tuple[int, int, int, int] = Field(description=_BOX)
    detector_score: float
    expression: str
    probability: float
    certain: bool
    possible: list[str] = Field(description="What people may see, most probable first")
    pose: PoseAnswer | None
    sharpness: float = Field(description="About 0.4 to 1.2 for sharp faces")
    light: float = Field(description="Mean gray of the face, 0 to 1")
    size: int = Field(description="The box's shorter side in pixels")
    notes: list[str] = Field(description=f"What is poor: of {_NAMES}")
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)


class ImageAnswer(BaseModel):
    """The faces of one image, as ``deepfer predict --json`` prints them."""

    schema_: int = Field(alias="schema")
    source: str
    width: int
    height: int
    model: str
    prior: str = Field(description="How often each expression was expected")
    faces: list[FaceAnswer]


class ImageError(BaseModel):
    """An image of several that could not be read."""

    schema_: int = Field(alias="schema")
    source: str
    error: str


class ExplanationAnswer(BaseModel):
    """What decided about one face."""

    schema_: int = Field(alias="schema")
    face: int = Field(description="From 1, in the order of /v1/recognize")
    method: str
    expression: str
    target: str
    prior: str
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)
    regions: dict[str, float] = Field(description="Share of the evidence per region")
    map: list[list[float]] = Field(description="Per pixel: mean fall of the target's probability")
    pixels: list[list[int]] = Field(description="The face as the network sees it, gray, 0 to 255")


class ModelAnswer(BaseModel):
    """What the model file says about itself."""

    name: str
    labels: list[str]
    input: dict[str, float | bool]
    temperature: float
    prior: list[float] = Field(description="Shares in what it was trained on, as `labels`")
    set_mass: float = Field(description="What the probabilities of `possible` reach together")
    certainty: float = Field(description="Least probability of a certain answer")
    default_prior: str = Field(description="The prior of answers that ask for none")
    training_data: str
    licence: str
    recipe: str
    network: str
    network_options: dict[str, object]
    figures: dict[str, float]


class ErrorAnswer(BaseModel):
    """What went wrong, in one line."""

    error: str
