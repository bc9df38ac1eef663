"""The service keeps what its OpenAPI description promises, whatever is asked of it."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from deepfer.pipeline import Recognizer
from deepfer.serve.app import create_app
from deepfer.serve.limits import Limits

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

_APP = create_app(Recognizer(), limits=Limits(max_bytes=100_000, max_images=3), hosts=("*",))
_SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", _APP)


@_SCHEMA.parametrize()
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_description(case: Any) -> None:
    answer = case.call()
    # what `allow` says of a method and a form that is no form is checked elsewhere
    case.validate_response(
        answer,
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.specs.openapi.checks.status_code_conformance,
            schemathesis.specs.openapi.checks.content_type_conformance,
            schemathesis.specs.openapi.checks.response_schema_conformance,
        ],
    )
    if answer.status_code >= 400:
        assert "\n" not in json.loads(answer.content)["error"]
