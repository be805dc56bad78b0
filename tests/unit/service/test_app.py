"""What the service answers: what the library gives, or a refusal that says why."""

import io
import json

import numpy as np
import pytest
import soundfile
import torch

from semanticodec import Codes
from semanticodec.audio.streamed import wav_bytes
from semanticodec.container import Header, Reader, Writer
from sound_bytes import encoded, flac_without_length, mp3, tone

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
testclient = pytest.importorskip("starlette.testclient")

from semanticodec.service.app import make_app  # noqa: E402
from semanticodec.service.service import Service  # noqa: E402
from semanticodec.service.settings import ServiceSettings  # noqa: E402

TOKEN = "a-token-of-the-tests"
SETTINGS = ServiceSettings(
    max_body_mb=1, max_seconds=25, max_active=2, max_waiting=1, wait_s=0.05, body_s=0.5
)


def make_service(codec, settings=SETTINGS, **options):
    return Service(codec, settings, **options)


@pytest.fixture(scope="module")
def service(quick_codec):
    service = make_service(quick_codec, threads=2)
    yield service
    service.queue.close()


@pytest.fixture(scope="module")
def client(service):
    with testclient.TestClient(make_app(service)) as client:
        yield client


@pytest.fixture(scope="module")
def sound():
    """Two windows, the second a short one."""
    return encoded("WAV", tone(10.5))


@pytest.fixture(scope="module")
def codes(quick_codec):
    """Codes of a second."""
    return quick_codec.encode(encoded("WAV"))


def smtc(codes):
    stream = io.BytesIO()
    codes.save(stream)
    return stream.getvalue()


def wav_of(codec, codes, **options):
    """The file that the library makes with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    blocks = list(codec.decode_stream(codes, **options))
    torch.set_num_threads(threads)
    return b"".join(wav_bytes(blocks, codes.num_samples[0], 16_000))


def refused(reply, status):
    """The text of a refusal, which names the model as every answer does."""
    assert reply.status_code == status, reply.text
    assert len(reply.headers["model-fingerprint"]) == 16
    return reply.json()["detail"]


def test_codes_are_those_of_the_library(client, quick_codec, sound):
    reply = client.post("/v1/encode", content=sound)
    codes = quick_codec.encode(sound)
    assert reply.status_code == 200 and reply.content == smtc(codes)
    assert Codes.load(reply.content) == codes
    assert reply.headers["model-fingerprint"] == quick_codec.model_fingerprint.hex()


@pytest.mark.parametrize(
    "body",
    [
        encoded("FLAC", tone(3.0, 44_100), 44_100),
        mp3(),
        flac_without_length(),
        encoded("OGG", np.stack([tone(), tone()], 1)),
    ],
    ids=["flac", "mp3", "piped flac", "stereo ogg"],
)
def test_any_sound_file_is_taken(client, quick_codec, body):
    reply = client.post("/v1/encode?format=json", content=body)
    expected = quick_codec.encode(body)
    assert reply.json()["semantic"] == expected.semantic[0].tolist()
    assert reply.json()["num_samples"] == expected.num_samples[0]


def test_sound_is_that_of_the_library(client, quick_codec, sound):
    codes = quick_codec.encode(sound)
    reply = client.post("/v1/decode?seed=3", content=smtc(codes))
    expected = wav_of(quick_codec, codes, seed=3)
    assert reply.headers["content-type"] == "audio/wav"
    assert int(reply.headers["content-length"]) == len(expected)
    assert reply.content == expected


def test_all_ways_to_the_same_sound(client, quick_codec, codes):
    body = encoded("WAV")
    as_json = client.post("/v1/encode?format=json", content=body).json()
    wavs = [
        client.post("/v1/decode?seed=3", content=smtc(codes)).content,
        client.post("/v1/decode?seed=3", json=as_json).content,
        client.post("/v1/roundtrip?seed=3", content=body).content,
    ]
    assert wavs == [wav_of(quick_codec, codes, seed=3)] * 3
    assert client.post("/v1/decode?seed=4", content=smtc(codes)).content != wavs[0]


def test_a_flac_has_the_samples_of_the_wav(client, codes):
    body = smtc(codes)
    wav, flac = (client.post(f"/v1/decode?format={kind}", content=body) for kind in ("wav", "flac"))
    assert flac.headers["content-type"] == "audio/flac"
    assert soundfile.info(io.BytesIO(flac.content)).frames == codes.num_samples[0]
    samples = [soundfile.read(io.BytesIO(reply.content), dtype="int16")[0] for reply in (wav, flac)]
    assert np.array_equal(*samples)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("encode", b"", "is empty"),
        ("encode", b"no sound at all", "not readable audio"),
        ("encode", encoded("WAV", tone(0.02)), "at least 400"),
        ("roundtrip", b"RIFF", "not readable audio"),
        ("decode", b"", "stream"),
        ("decode", b"SMTC", "cut off"),
        ("encode?entropy=true", encoded("WAV"), "has tables for entropy coding"),
        ("encode?format=xml", b"", "query.format"),
        ("decode?seed=-1", b"", "query.seed"),
        ("decode?quality=perfect", b"", "query.quality"),
    ],
)
def test_what_cannot_be_used(client, path, body, words):
    assert words in refused(client.post(f"/v1/{path}", content=body), 422)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token_rate": 99}, "token rate 99"),
        ({"token_rate": 50}, "the codes have token_rate 50"),
        ({"num_samples": 10**9}, "positions"),
        ({"semantic": [1.5]}, "semantic.0"),
        ({"semantic": [10**9]}, "semantic codes"),
        ({"semantic": None}, "semantic"),
        ({"fingerprint": "00"}, "fingerprint"),
        ({"fingerprint": "ff" * 8}, "come from model ffff"),
        ({"more": 1}, "more"),
    ],
)
def test_json_that_is_no_codes(client, codes, change, words):
    given = {
        "token_rate": 100,
        "semantic_vocab_size": codes.semantic_vocab_size,
        "acoustic_vocab_size": codes.acoustic_vocab_size,
        "num_samples": 2560,
        "semantic": [1] * 8,
        "acoustic": [2] * 8,
    }
    if change.get("token_rate") == 50:
        change = {**change, "semantic": [1] * 4, "acoustic": [2] * 4}
    if len(change.get("semantic") or ()) == 1:
        change = {**change, "semantic": change["semantic"] * 8}
    assert words in refused(client.post("/v1/decode", json={**given, **change}), 422)
    assert client.post("/v1/decode", json=given).status_code == 200


def test_damaged_and_foreign_codes(client, codes):
    body = bytearray(smtc(codes))
    body[-1] ^= 1
    assert refused(client.post("/v1/decode", content=bytes(body)), 422)
    assert refused(client.post("/v1/decode", content=bytes(body[:-9])), 422)


def test_a_stream_of_unknown_length_is_counted(client, quick_codec):
    for seconds, status in ((2, 200), (26, 413)):
        stream = io.BytesIO()
        header = Header(quick_codec.format, num_samples=None, fingerprint=bytes(8))
        window = np.zeros(512, np.int64)
        stream.seekable = lambda: False  # as a pipe: the length stays unknown
        with Writer(stream, header) as writer:
            for start in range(0, 50 * seconds // 8 * 8, 512):
                block = window[: min(512, 50 * seconds // 8 * 8 - start)]
                writer.write_block(block, block)
        assert Reader(stream.getvalue()).header.num_samples is None
        reply = client.post("/v1/decode", content=stream.getvalue())
        assert reply.status_code == status


def test_recordings_and_bodies_beyond_the_limits(client, quick_codec):
    too_long = encoded("FLAC", np.zeros(26 * 16_000, np.float32))
    assert len(too_long) < 10_000
    for path in ("encode", "roundtrip"):
        reply = client.post(f"/v1/{path}", content=too_long)
        assert "more than 25 s" in refused(reply, 413)
    long_codes = smtc(quick_codec.encode(too_long))
    assert "more than 25 s" in refused(client.post("/v1/decode", content=long_codes), 413)
    announced = client.post("/v1/encode", content=bytes((1 << 20) + 1))
    assert "more than 1048576 bytes" in refused(announced, 413)
    chunks = (bytes(1 << 16) for _ in range(17))
    assert "more than 1048576 bytes" in refused(client.post("/v1/encode", content=chunks), 413)
    codes_body = {"content": b" " * 100_000, "headers": {"content-type": "application/json"}}
    assert "bytes" in refused(client.post("/v1/decode", **codes_body), 413)


def test_more_requests_than_places(service, client, sound):
    with service.admission.entered(), service.admission.entered(), service.admission.entered():
        reply = client.post("/v1/encode", content=sound)
        assert "3 requests are being answered" in refused(reply, 503)
        assert int(reply.headers["retry-after"]) > 0
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.post("/v1/encode", content=sound).status_code == 200
    assert service.admission.num_inside == 0


def test_what_takes_too_long(quick_codec, sound):
    slow = make_service(quick_codec, ServiceSettings(request_s=0.01, batch_wait_ms=500))
    with testclient.TestClient(make_app(slow)) as client:
        reply = client.post("/v1/encode", content=sound)
        assert "no answer within 0.01 s" in refused(reply, 503)
    assert slow.admission.num_inside == 0
    slow.queue.close()


def test_tokens(quick_codec, sound):
    service = make_service(quick_codec, tokens=("another-token-first", TOKEN))
    with testclient.TestClient(make_app(service)) as client:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            for path in ("encode", "decode", "roundtrip"):
                reply = client.post(f"/v1/{path}", content=sound, headers=header)
                assert "no valid token" in refused(reply, 401)
                assert reply.headers["www-authenticate"] == "Bearer"
            assert client.get("/v1/info", headers=header).status_code == 401
            assert client.get("/metrics", headers=header).status_code == 401
        assert client.get("/healthz").status_code == 200
        good = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/v1/encode", content=sound, headers=good).status_code == 200
    service.queue.close()


def test_info_and_what_is_not_there(client, quick_codec):
    info = client.get("/v1/info").json()
    assert info["fingerprint"] == quick_codec.model_fingerprint.hex()
    assert info["token_rate"] == 100 and info["limits"]["max_seconds"] == 25
    assert set(info["qualities"]) == {"draft", "standard", "best"}
    refused(client.get("/v1/encode"), 405)
    refused(client.get("/v2"), 404)


def test_metrics_count_and_logs_hold_no_secret(quick_codec, sound, caplog):
    service = make_service(quick_codec, tokens=(TOKEN,))
    caplog.set_level("INFO", "semanticodec.service")
    with testclient.TestClient(make_app(service)) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        for _ in range(3):
            client.post(f"/v1/encode?x={TOKEN}", content=sound)
        client.get(f"/{TOKEN}")
        text = client.get("/metrics").text
    assert 'semanticodec_requests_total{path="/v1/encode",status="200"} 3.0' in text
    assert 'semanticodec_requests_total{path="other",status="404"} 1.0' in text
    assert 'semanticodec_audio_seconds_total{path="/v1/encode"} 31.5' in text
    lines = [json.dumps(vars(record)["fields"]) for record in caplog.records]
    assert len(lines) == 4 and all('"status"' in line for line in lines)
    assert TOKEN not in text + "".join(lines)
    service.queue.close()
