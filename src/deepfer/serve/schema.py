"""The answers of the service, for its OpenAPI description; the library makes them elsewhere."""

from pydantic import BaseModel, Field

_BOX = "x, y, width, height in pixels of the image, after EXIF rotation"
_PROBABILITIES = "Per expression, 0 to 1, summing to 1"


class FaceAnswer(BaseModel):
    """One face."""

    box: tuple[int, int, int, int] = Field(description=_BOX)
    detector_score: float
    expression: str
    probability: float
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)


class ImageAnswer(BaseModel):
    """The faces of one image, as ``deepfer predict --json`` prints them."""

    schema_: int = Field(alias="schema")
    source: str
    width: int
    height: int
    model: str
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
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)
    regions: dict[str, float] = Field(description="Share of the evidence per region")
    map: list[list[float]] = Field(description="Per pixel: mean fall of the target's probability")
    pixels: list[list[int]] = Field(description="The face as the network sees it, gray, 0 to 255")


class ModelAnswer(BaseModel):
    """What the model file says about itself."""

    name: str
    labels: list[str]
    input: dict[str, float]
    temperature: float
    training_data: str
    licence: str
    recipe: str
    network: str
    network_options: dict[str, object]
    figures: dict[str, float]


class ErrorAnswer(BaseModel):
    """What went wrong, in one line."""

    error: str
