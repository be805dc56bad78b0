"""The built-in model: offline, of the promised size, and a working codec on real recordings."""

import os
from pathlib import Path

import pytest
import torch

from semanticodec import SemantiCodec
from semanticodec.audio.io import load_audio
from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.pretrained import DEFAULT_MODEL, read_setting

MOST_BYTES = 96_000_000
VOCABULARIES = {100: (4096, 8192, 32768), 50: (4096, 8192, 16384), 25: (4096, 8192)}
DOMAINS = ("speech", "music", "general")
CLIPS_PER_DOMAIN = 4

data = Path(os.environ.get("SEMANTICODEC_DATA", ""), "eval")
needs_recordings = pytest.mark.skipif(
    "SEMANTICODEC_DATA" not in os.environ or not data.is_dir(),
    reason="SEMANTICODEC_DATA names no folder with eval/{speech,music,general}",
)


def offered(token_rate: int) -> tuple[int, ...]:
    return read_setting(DEFAULT_MODEL, token_rate)[0].encoder.semantic.vocab_sizes


@pytest.fixture(scope="module")
def codec() -> SemantiCodec:
    return SemantiCodec.from_pretrained()


def test_weights_are_safetensors_within_the_size_limit() -> None:
    files = [path for path in DEFAULT_MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}
    assert (DEFAULT_MODEL / "MODEL_CARD.md").is_file()


def test_it_is_a_hundred_tokens_per_second(codec: SemantiCodec) -> None:
    assert codec.token_rate == 100
    assert codec.semantic_vocab_size == 32768
    assert codec.bitrate == 1400


def test_a_tone_comes_back_at_its_length(codec: SemantiCodec) -> None:
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(16_001) / 16_000)
    wav = codec.decode(codec.encode(tone))
    assert wav.shape == (1, 1, 16_001)
    assert 0.01 < wav.abs().max() <= 1.0


@pytest.mark.parametrize("token_rate", VOCABULARIES)
def test_every_rate_and_vocabulary_loads(token_rate: int) -> None:
    assert VOCABULARIES[token_rate] == offered(token_rate)
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    for size in VOCABULARIES[token_rate]:
        codec = SemantiCodec.from_pretrained(token_rate=token_rate, semantic_vocab_size=size)
        codes = codec.encode(noise)
        assert codes.semantic.shape[1] * 2 / codes.duration_s[0] >= token_rate
        assert codes.semantic.max() < size
        assert codec.decode(codes).shape == (1, 1, 16_000)


@needs_recordings
@pytest.mark.parametrize("token_rate", VOCABULARIES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_each_recording_is_nearest_to_its_own_original(token_rate: int, domain: str) -> None:
    codec = SemantiCodec.from_pretrained(token_rate=token_rate)
    paths = sorted((data / domain).glob("*.flac"))[:CLIPS_PER_DOMAIN]
    originals = [load_audio(path)[: 4 * 16_000] for path in paths]
    mel = Mel()
    rebuilt = codec.decode(codec.encode(originals))
    for index, original in enumerate(originals):
        wav = rebuilt[index, 0, : len(original)]
        assert wav.abs().max() > 1e-3, "silent"
        assert (wav.abs() >= 1.0).float().mean() < 1e-3, "clipped"
        assert _nearest(mel(wav[None])[0], [mel(wav[None])[0] for wav in originals]) == index


def _nearest(mel: torch.Tensor, candidates: list[torch.Tensor]) -> int:
    distances = []
    for candidate in candidates:
        frames = min(len(mel), len(candidate))
        distances.append((mel[:frames] - candidate[:frames]).abs().mean().item())
    return min(range(len(distances)), key=distances.__getitem__)
