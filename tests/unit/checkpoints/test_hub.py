"""Finding the official files: layout names, folders of the user, the Hub's cache."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

from semanticodec.checkpoints import hub
from semanticodec.errors import CheckpointError, ConfigError


def lay_out(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("token_rate", "vocab_size", "expected"),
    [
        (100, 4096, "codebook_idx/combine_512_audioset_dominate/codebook_2048_0.npy"),
        (50, 8192, "codebook_idx/combine_256_audioset_dominate/codebook_4096_0.npy"),
        (25, 32768, "codebook_idx/combine_128_audioset_dominate/codebook_16384_0.npy"),
    ],
)
def test_codebooks_are_named_by_their_general_sound_half(
    token_rate: int, vocab_size: int, expected: str
) -> None:
    assert hub.codebook_name(token_rate, vocab_size) == expected


def test_a_copy_of_the_repository_is_found(tmp_path: Path) -> None:
    names = [
        "semanticodec_tokenrate_50/encoder.ckpt",
        "semanticodec_tokenrate_50/decoder.ckpt",
        hub.codebook_name(50, 4096),
    ]
    lay_out(tmp_path, names)
    files = hub.find_official(tmp_path, 50, 4096)
    assert [files.encoder, files.decoder, files.codebook] == [tmp_path / name for name in names]
    # The folder of one rate inside that copy works too.
    assert hub.find_official(tmp_path / "semanticodec_tokenrate_50", 50, 4096).decoder == (
        tmp_path / names[1]
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, ["encoder.ckpt", "decoder.ckpt"])
    with pytest.raises(CheckpointError, match=r"codebook_2048_0\.npy.*layout"):
        hub.find_official(tmp_path, 100, 4096)
    with pytest.raises(CheckpointError, match="is not a folder"):
        hub.find_official(tmp_path / "nowhere", 100, 4096)


@pytest.mark.parametrize(("token_rate", "vocab_size"), [(75, 4096), (100, 1024)])
def test_settings_that_nobody_released_are_refused(token_rate: int, vocab_size: int) -> None:
    with pytest.raises(ConfigError, match="choose one of"):
        hub.download_official(token_rate, vocab_size)


def test_the_hub_is_asked_for_the_pinned_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fake_download(repository: str, name: str, **options: object) -> str:
        asked.append((repository, name, options))
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake_download)
    access = hub.HubAccess(revision="abc123", cache_dir=tmp_path, local_files_only=True)
    files = hub.download_official(25, 16384, access)
    assert files.encoder == tmp_path / "semanticodec_tokenrate_25/encoder.ckpt"
    assert files.codebook == tmp_path / hub.codebook_name(25, 16384)
    assert {repository for repository, _, _ in asked} == {"haoheliu/SemantiCodec"}
    assert [options for _, _, options in asked] == 3 * [
        {"revision": "abc123", "cache_dir": tmp_path, "local_files_only": True}
    ]


def test_an_empty_cache_offline_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not in the Hub cache"):
        access = hub.HubAccess(cache_dir=tmp_path, local_files_only=True)
        hub.download_official(100, 4096, access)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (LocalEntryNotFoundError("no net"), "go online once"),
        (EntryNotFoundError("404: no such entry"), "404: no such entry.*check the names"),
        (OSError(28, "No space left on device"), "No space left.*cache folder"),
    ],
)
def test_hub_failures_are_checkpoint_errors(
    raised: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise raised

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(CheckpointError, match=message):
        hub.download_official(100, 4096)


def test_a_model_of_the_hub_is_fetched_without_anything_but_config_and_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fake_snapshot(repository: str, **options: object) -> str:
        asked.update(options, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake_snapshot)
    assert hub.download_model("someone/codec", hub.HubAccess(revision="v1")) == tmp_path
    assert asked["repository"] == "someone/codec"
    assert asked["revision"] == "v1"
    assert asked["allow_patterns"] == ["config.json", "*.safetensors"]


def test_a_model_that_is_not_cached_is_one_clear_error_offline(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"someone/codec is not in the Hub cache"):
        access = hub.HubAccess(cache_dir=tmp_path, local_files_only=True)
        hub.download_model("someone/codec", access)
