"""Models on the Hugging Face Hub, and where the official weight files are: there or in a folder.

    semanticodec_tokenrate_{25,50,100}/{encoder,decoder}.ckpt
    codebook_idx/combine_{128,256,512}_audioset_dominate/codebook_{half the vocabulary}_0.npy

Official weights are never shipped with this package: they come under their authors' licenses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from semanticodec.checkpoints.model_card import CARD_NAME
from semanticodec.errors import CheckpointError, ConfigError, told
from semanticodec.token_format import TOKEN_RATES, TokenGrid

REPOSITORY = "haoheliu/SemantiCodec"
SEMANTIC_VOCAB_SIZES = (4096, 8192, 16384, 32768)


@dataclass(frozen=True, kw_only=True)
class HubAccess:
    """How the Hub's files are reached; `HF_HUB_OFFLINE=1` is respected.

    Attributes:
        revision: branch, tag or commit; a commit pins the weights.
        cache_dir: folder of the Hub's files (default: the Hub client's own).
        local_files_only: take the files from that folder alone.
        token: access token of the Hub, or whether to use the one that is stored.
    """

    revision: str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    local_files_only: bool = False
    token: str | bool | None = None

    def options(self) -> dict[str, Any]:
        """Return what the client's functions take; a token only where one is given."""
        return {key: value for key, value in vars(self).items() if (key, value) != ("token", None)}


ANY_ACCESS = HubAccess()


class OfficialFiles(NamedTuple):
    """The three files of one official setting."""

    encoder: Path
    decoder: Path
    codebook: Path


def check_token_rate(token_rate: int) -> None:
    """Raise ConfigError for a rate of which there is no official model."""
    if not isinstance(token_rate, Integral) or token_rate not in TOKEN_RATES:
        raise ConfigError(
            f"no official model has {told(token_rate)} tokens per second; choose one of "
            f"{TOKEN_RATES}"
        )


def _check_setting(token_rate: int, semantic_vocab_size: int) -> None:
    check_token_rate(token_rate)
    is_number = isinstance(semantic_vocab_size, Integral)
    if not is_number or semantic_vocab_size not in SEMANTIC_VOCAB_SIZES:
        raise ConfigError(
            f"no official semantic codebook has {told(semantic_vocab_size)} entries; "
            f"choose one of {SEMANTIC_VOCAB_SIZES}"
        )


def weights_folder(token_rate: int) -> str:
    """Return the folder of `encoder.ckpt` and `decoder.ckpt` in the official layout."""
    return f"semanticodec_tokenrate_{token_rate}"


def codebook_name(token_rate: int, semantic_vocab_size: int) -> str:
    """Return the path of a semantic codebook in the official layout.

    The file is named after its general-sound half: `codebook_2048_0.npy` holds 4096 rows.
    """
    positions = TokenGrid(token_rate).positions_per_window
    folder = f"codebook_idx/combine_{positions}_audioset_dominate"
    return f"{folder}/codebook_{semantic_vocab_size // 2}_0.npy"


def _first_file(candidates: tuple[Path, ...]) -> Path:
    for path in candidates:
        if path.is_file():
            return path
    names = " or ".join(str(path) for path in candidates)
    raise CheckpointError(
        f"found no file {names}; give a folder in the layout of the Hub repository {REPOSITORY}"
    )


def find_official(
    folder: str | os.PathLike[str], token_rate: int, semantic_vocab_size: int
) -> OfficialFiles:
    """Return the three files inside a folder of the user.

    Args:
        folder: a copy of the Hub repository, or the folder that holds `encoder.ckpt`,
            `decoder.ckpt` and either `codebook_idx/` or a sibling of that name.
        token_rate: 25, 50 or 100.
        semantic_vocab_size: 4096, 8192, 16384 or 32768.
    Raises:
        ConfigError: no such official setting.
        CheckpointError: a file is missing.
    """
    _check_setting(token_rate, semantic_vocab_size)
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise CheckpointError(f"{root} is not a folder; give the folder of the official weights")
    nested = root / weights_folder(token_rate)
    codebook = codebook_name(token_rate, semantic_vocab_size)
    return OfficialFiles(
        encoder=_first_file((root / "encoder.ckpt", nested / "encoder.ckpt")),
        decoder=_first_file((root / "decoder.ckpt", nested / "decoder.ckpt")),
        codebook=_first_file((root / codebook, root.resolve().parent / codebook)),
    )


def download_official(
    token_rate: int, semantic_vocab_size: int, access: HubAccess = ANY_ACCESS
) -> OfficialFiles:
    """Return the three files from the Hub's cache, fetching what is not there yet.

    Args:
        token_rate: 25, 50 or 100.
        semantic_vocab_size: 4096, 8192, 16384 or 32768.
        access: settings of the access to the Hub.
    Raises:
        ConfigError: no such official setting.
        CheckpointError: the Hub cannot be reached and the cache lacks a file, or the
            repository or revision does not hold it.
    """
    _check_setting(token_rate, semantic_vocab_size)
    folder = weights_folder(token_rate)
    names = {
        "encoder": f"{folder}/encoder.ckpt",
        "decoder": f"{folder}/decoder.ckpt",
        "codebook": codebook_name(token_rate, semantic_vocab_size),
    }
    # Imported here: the package and its built-in model work without touching the Hub's client.
    from huggingface_hub import hf_hub_download

    paths = {}
    for part, name in names.items():
        with _hub_errors(name, REPOSITORY, access):
            paths[part] = Path(hf_hub_download(REPOSITORY, name, **access.options()))
    return OfficialFiles(**paths)


def download_model(repository: str, access: HubAccess = ANY_ACCESS) -> Path:
    """Return the folder of a model of this package on the Hub: config.json and *.safetensors.

    Args:
        repository: Hub id, `owner/name`.
        access: settings of the access to the Hub.
    Raises:
        CheckpointError: no such repository or revision, or not in the cache and offline.
    """
    from huggingface_hub import snapshot_download

    with _hub_errors(repository, repository, access):
        folder = snapshot_download(
            repository, allow_patterns=["config.json", "*.safetensors"], **access.options()
        )
    return Path(folder)


def upload_model(
    folder: Path,
    repository: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    commit_message: str | None = None,
) -> str:
    """Upload a model folder as one commit and return its address; a model card that is there stays.

    Args:
        folder: what to upload.
        repository: Hub id, `owner/name`; made if it is not there.
        private: whether a new repository is private (default: the owner's setting).
        token: access token of the Hub, or whether to use the one that is stored.
        revision: branch to commit to, made if it is not there (default: main).
        create_pr: whether to open a pull request instead.
        commit_message: what the commit says.
    Raises:
        CheckpointError: the Hub cannot be reached, or refuses it.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    try:
        repository = api.create_repo(repository, private=private, exist_ok=True).repo_id
        if revision is not None and not create_pr:
            api.create_branch(repository, branch=revision, exist_ok=True)
        has_card = api.file_exists(repository, CARD_NAME, revision=revision)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            ignore_patterns=[CARD_NAME] if has_card else None,
            commit_message=commit_message or "Upload model",
            revision=revision,
            create_pr=create_pr,
        )
    except Exception as error:  # refusals, connections, disks and the client's own kinds
        raise CheckpointError(
            f"the model could not be uploaded to {repository} on the Hub ({_first_line(error)}); "
            "check the name, the connection, and that your token (`hf auth login`) may write there"
        ) from error
    return str(commit.commit_url)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _hub_errors(name: str, repository: str, access: HubAccess) -> Iterator[None]:
    """Turn what the Hub's client raises into one sentence that says what to do."""
    from huggingface_hub.utils import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        yield
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{name} is not in the Hub cache and the Hub was not reached; go online once, "
            "or download it and give its path"
        ) from error
    except (EntryNotFoundError, HfHubHTTPError, ValueError) as error:
        raise CheckpointError(
            f"the Hub repository {repository} (revision {access.revision or 'main'}) did not give "
            f"{name}: {_first_line(error)}; check the names and your access, or give files by path"
        ) from error
    except Exception as error:  # connections, disks and the client's own kinds
        raise CheckpointError(
            f"{name} could not be fetched from the Hub ({error}); check the connection and the "
            "space in the cache folder, or download it and give its path"
        ) from error
