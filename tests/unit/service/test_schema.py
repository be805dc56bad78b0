"""The schema keeps its word: schemathesis sends what it allows and what it does not."""

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.checks")

from semanticodec.service.app import make_app  # noqa: E402
from semanticodec.service.service import Service  # noqa: E402
from semanticodec.service.settings import ServiceSettings  # noqa: E402

NUM_EXAMPLES = 12


@pytest.fixture(scope="module")
def service(quick_codec):
    service = Service(quick_codec, ServiceSettings(max_seconds=1, batch_wait_ms=0))
    yield service
    service.queue.close()


@pytest.fixture(scope="module")
def api(service):
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(service))


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=NUM_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_promised(case):
    case.call_and_validate()


def test_all_places_are_free_again(service):
    assert service.admission.num_inside == 0 and len(service.queue) == 0
