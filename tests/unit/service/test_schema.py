"""The schema keeps its word: schemathesis sends what it allows, and what it does not."""

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

from semanticodec.service.app import PATHS, make_app  # noqa: E402
from semanticodec.service.service import Service  # noqa: E402
from semanticodec.service.settings import ServiceSettings  # noqa: E402

NUM_EXAMPLES = 10
TOKEN = "a-token-of-the-tests"
# Bytes are no sound file, and no schema could say so.
NOT_PROMISED = [checks.positive_data_acceptance]
METHODS = {path: "POST" if path in PATHS[:3] else "GET" for path in PATHS if "openapi" not in path}


@pytest.fixture(scope="module")
def service(quick_codec):
    settings = ServiceSettings(max_seconds=1, batch_wait_ms=0)
    service = Service(quick_codec, settings, tokens=(TOKEN,))
    yield service
    service.queue.close()


@pytest.fixture(scope="module")
def schema(service):
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(service))


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        *((path, "POSITIVE") for path in METHODS),
        *((path, "NEGATIVE") for path, method in METHODS.items() if method == "POST"),
    ],
)
def test_answers_are_as_promised(schema, path, mode):
    operation = schema[path][METHODS[path]]
    requests = operation.as_strategy(
        schemathesis.GenerationMode[mode], headers={"Authorization": f"Bearer {TOKEN}"}
    )

    @given(requests)
    @settings(
        max_examples=NUM_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def sent(case):
        case.call_and_validate(excluded_checks=NOT_PROMISED)

    sent()


def test_the_schema_has_all_paths_and_examples(schema, service):
    described = schema.raw_schema["paths"]
    assert set(described) == set(METHODS)
    codes = described["/v1/decode"]["post"]["requestBody"]["content"]["application/json"]
    assert codes["example"]["semantic"]
    assert service.admission.num_inside == 0 and len(service.queue) == 0
