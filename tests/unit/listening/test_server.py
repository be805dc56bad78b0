"""What the page asks and what it is told, over HTTP; nothing that would unblind a listener."""

import io
from pathlib import Path

import pytest
import soundfile

from listening_tests import LISTENER, make_test
from semanticodec.listening.order import presentations

pytest.importorskip("fastapi")
testclient = pytest.importorskip("starlette.testclient")

from semanticodec.listening.server import make_app  # noqa: E402


@pytest.fixture
def test(tmp_path):
    return make_test(tmp_path, num_clips=1)


@pytest.fixture
def client(test):
    return testclient.TestClient(make_app(test))


def answer(client, number, values, elapsed_s=1.5):
    body = {"values": values, "elapsed_s": elapsed_s}
    return client.put(f"/api/{LISTENER}/{number}", json=body)


def test_a_session_from_begin_to_end(client, test):
    assert client.get("/api/about").json() == {"title": "Listening test", "mode": "mushra"}
    state = client.put(f"/api/{LISTENER}").json()
    assert (state["number"], state["total"], state["num_slots"]) == (0, 3, 5)
    assert state["is_training"] and not state["is_over"]
    for number in range(3):
        state = answer(client, number, [number, 20, 30, 40, 50]).json()
    assert state["is_over"]
    assert client.put(f"/api/{LISTENER}").json() == state
    orders = presentations(test.plan, LISTENER)
    assert {
        (row.page, row.condition, row.score) for row in test.storage.scores() if row.score < 10
    } == {(shown.page, shown.slots[0], number) for number, shown in enumerate(orders)}


def test_sounds_are_the_conditions_in_the_listeners_order(client, test):
    client.put(f"/api/{LISTENER}")
    (shown, *_) = presentations(test.plan, LISTENER)
    for index, condition in enumerate(shown.sounds):
        reply = client.get(f"/api/{LISTENER}/0/sounds/{index}")
        assert reply.headers["content-type"] == "audio/wav"
        path = test.folder / test.plan.pages[0].sounds[condition]
        assert reply.content == path.read_bytes()
        assert soundfile.info(io.BytesIO(reply.content)).samplerate == 16_000
        told = f"{reply.headers} {client.put(f'/api/{LISTENER}').text}"
        assert not any(name in told for name in ("half", "anchor", "reference", "music"))


@pytest.mark.parametrize(
    ("number", "values", "status"),
    [
        (0, [1, 2, 3, 4], 422),
        (0, [1, 2, 3, 4, 101], 422),
        (0, [1, 2, 3, 4, -1], 422),
        (0, [1, 2, 3, 4, 5.5], 422),
        (0, [1, 2, 3, 4, True], 422),
        (1, [1, 2, 3, 4, 5], 422),
        (-1, [1, 2, 3, 4, 5], 422),
        (9, [1, 2, 3, 4, 5], 422),
    ],
)
def test_wrong_answers_are_refused_and_change_nothing(client, test, number, values, status):
    client.put(f"/api/{LISTENER}")
    reply = answer(client, number, values)
    assert reply.status_code == status
    assert isinstance(reply.json()["detail"], str)
    assert test.storage.scores() == []


def test_another_answer_is_a_conflict_and_the_same_is_none(client):
    client.put(f"/api/{LISTENER}")
    first = answer(client, 0, [1, 2, 3, 4, 5])
    again = answer(client, 0, [1, 2, 3, 4, 5], elapsed_s=99.0)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert answer(client, 0, [1, 2, 3, 4, 6]).status_code == 409


def test_strangers_and_rubbish(client):
    assert answer(client, 0, [1, 2, 3, 4, 5]).status_code == 404
    assert client.put("/api/not-a-token").status_code == 422
    client.put(f"/api/{LISTENER}")
    for body in (b"", b"[" * 5000, b"\xff", b'{"values": [1]}', b"x" * 100_000):
        assert client.put(f"/api/{LISTENER}/0", content=body).status_code == 422
    for path in ("1/sounds/0", "0/sounds/6", "0/sounds/-1"):
        assert client.get(f"/api/{LISTENER}/{path}").status_code == 422
    assert client.get("/../plan.json").status_code == 404


def test_the_page_loads_nothing_from_elsewhere(client):
    reply = client.get("/")
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    folder = Path(__file__).parents[3] / "src/semanticodec/listening/page"
    for path in folder.iterdir():
        served = client.get(f"/{path.name}")
        assert served.status_code == 200
        assert "http://" not in served.text and "https://" not in served.text
