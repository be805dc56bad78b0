"""What a codec consists of: its modules, their weights, and what is known about both.

config.json, *.safetensors | official checkpoints | a Hub id  ->  fbank, encoder, decoder
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from semanticodec.audio.fbank import Fbank
from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.entropy_tables import read_coder, tables_path
from semanticodec.checkpoints.fingerprint import CurrentFingerprint
from semanticodec.checkpoints.hub import HubAccess, download_official, upload_model
from semanticodec.checkpoints.model_card import CARD_NAME, model_card
from semanticodec.checkpoints.official import load_official
from semanticodec.checkpoints.pretrained import (
    check_shapes,
    choose_vocabulary,
    load_state,
    model_folder,
    read_setting,
    read_shapes,
    read_weights,
    write_model,
)
from semanticodec.config import CodecConfig
from semanticodec.container.entropy import EntropyCoder
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.sampling import (
    SamplingConfig,
    SamplingValue,
    choose_sampling,
    qualities,
)
from semanticodec.device import checked_device, checked_dtype
from semanticodec.encoder.encoder import Encoder
from semanticodec.errors import CheckpointError, ConfigError, SemantiCodecError
from semanticodec.files import checked_path, write_bytes, write_text
from semanticodec.layers.surroundings import check_fork, float32_default
from semanticodec.layers.uninitialized import Uninitialized
from semanticodec.runtimes.onednn import use_onednn
from semanticodec.token_format import NUM_STREAMS, Formatted

CodecT = TypeVar("CodecT", bound="CodecBase")


class CodecBase(Formatted, nn.Module):
    """The modules of a codec, loaded and saved; `SemantiCodec` encodes and decodes with them.

    Attributes:
        config: sizes of all modules.
        format: token rate, vocabularies and sample rate of its codes.
        fbank: filter bank, the encoder's input.
        mel: log-mel spectrogram, what the decoder decodes; some encoders see it, too.
        encoder: everything left of the codes in the paper's Figure 2.
        decoder: everything right of them.
    """

    def __init__(self, config: CodecConfig | None = None, **official: Any) -> None:
        """Build the modules with random weights; `from_pretrained` loads a model.

        Args:
            config: sizes of all modules.
            official: what the official package's class of this name takes; the error says which
                line to write instead.
        Raises:
            ConfigError: no configuration, or one that offers several semantic vocabularies.
        """
        super().__init__()
        if not isinstance(config, CodecConfig) or official:
            raise ConfigError(_other_lines(official))
        self.config = config
        self.format = config.format
        self._fingerprint = CurrentFingerprint()
        self._tables: Path | None = None
        with float32_default():
            self.fbank = Fbank(config.encoder.audiomae.num_mel_bins)
            self.mel = Mel()
            self.encoder = Encoder(config.encoder)
            self.decoder = Decoder(config.decoder)
        use_onednn(self.eval().requires_grad_(False))

    @classmethod
    def from_pretrained(
        cls: type[CodecT],
        source: str | os.PathLike[str] | None = None,
        *,
        token_rate: int | None = None,
        semantic_vocab_size: int | None = None,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> CodecT:
        """Return the built-in model, or one from a folder or the Hub.

        Args:
            source: folder with config.json, or Hub id; None for the built-in model.
            token_rate: tokens per second, 25, 50 or 100 (default: the model's own).
            semantic_vocab_size: entries of the semantic codebook (default: the largest).
            device: device of the model, or "auto" for the fastest one present.
            dtype: precision of everything after the quantizers; the encoder stays float32.
            revision: branch, tag or commit of a Hub model.
            cache_dir: folder of the Hub's files (default: the Hub client's own).
            local_files_only: whether a Hub model is taken from that folder alone.
            token: access token of the Hub, or whether to use the one that is stored.
        Raises:
            CheckpointError: files missing, damaged or of another model.
            ConfigError: a setting that the model does not offer, or no such device.
        """
        access = HubAccess(
            revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        )
        folder = model_folder(source, access)
        config, files = read_setting(folder, token_rate)
        config = choose_vocabulary(config, semantic_vocab_size)
        shapes = read_shapes(files, config)
        codec = cls._from_state(config, lambda: read_weights(files, config), device, dtype, shapes)
        codec._tables = tables_path(folder, codec.format)
        return codec

    @classmethod
    def from_official(
        cls: type[CodecT],
        *,
        encoder: str | os.PathLike[str] | None = None,
        decoder: str | os.PathLike[str] | None = None,
        codebook: str | os.PathLike[str] | None = None,
        token_rate: int = 100,
        semantic_vocab_size: int = 16384,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> CodecT:
        """Return the official system from its checkpoint files, or through the Hub's cache.

        The official weights are licensed for non-commercial use (AudioMAE CC-BY-NC, AudioLDM 2
        CC-BY-NC-SA); they are never part of this package.

        Args:
            encoder: path of `encoder.ckpt`; give all three files, or none to use the Hub.
            decoder: path of `decoder.ckpt`.
            codebook: path of the semantic codebook's `.npy`.
            token_rate: tokens per second, 25, 50 or 100.
            semantic_vocab_size: entries of the codebook to take from the Hub.
            device: device of the model, or "auto" for the fastest one present.
            dtype: precision of everything after the quantizers; the encoder stays float32.
            revision: branch, tag or commit on the Hub.
            cache_dir: folder of the Hub's files (default: the Hub client's own).
            local_files_only: whether the files are taken from that folder alone.
            token: access token of the Hub, or whether to use the one that is stored.
        Raises:
            CheckpointError: a file that is missing, truncated, unsafe or of another model.
            ConfigError: some of the three files given, but not all; or no such device.
        """
        given = [path for path in (encoder, decoder, codebook) if path is not None]
        if len(given) not in (0, 3):
            raise ConfigError(
                f"{len(given)} of the three official files were given; give encoder, decoder and "
                "codebook, or none of them to use the Hub"
            )
        if given:
            files = [checked_path(path, "an official file") for path in given]
        else:
            access = HubAccess(
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                token=token,
            )
            files = download_official(token_rate, semantic_vocab_size, access)
        config, state = load_official(*files, token_rate=token_rate)
        return cls._from_state(config, lambda: state, device, dtype)

    @classmethod
    def _from_state(
        cls: type[CodecT],
        config: CodecConfig,
        read_state: Callable[[], dict[str, Tensor]],
        device: str | torch.device,
        dtype: str | torch.dtype,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> CodecT:
        """Return a codec with weights, of which `shapes` is known before they are read."""
        device, dtype = checked_device(device), checked_dtype(dtype)
        check_fork()
        with Uninitialized(None if shapes is None else shapes.values()), torch.device("cpu"):
            codec = cls._built(config)
            if shapes is not None:
                check_shapes(codec, shapes)
            load_state(codec, read_state())
        codec.to(device)
        codec.decoder.to(dtype)
        return codec.eval().requires_grad_(False)

    @classmethod
    def _built(cls: type[CodecT], config: CodecConfig) -> CodecT:
        """Return the codec that a file describes, whose numbers may not go together."""
        try:
            return cls(config)
        except SemantiCodecError:
            raise
        except Exception as error:  # a hostile or damaged description may fail in any way
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(
                f"the configuration describes no codec that can be built ({reason}); restore "
                "config.json, or download the model again"
            ) from error

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, dtype: torch.dtype | None = None
    ) -> Path:
        """Write config.json and model.safetensors, which `from_pretrained` loads.

        Tables for entropy coding are copied where the codec was loaded with some.

        Args:
            folder: created if missing.
            dtype: precision of the stored floats (None keeps theirs).
        Raises:
            ConfigError: no path, or no precision.
        """
        folder = checked_path(folder, "the folder")
        dtype = None if dtype is None else checked_dtype(dtype)
        target = write_model(folder, self.config, self.state_dict(), dtype=dtype)
        if self._tables is not None and self._tables.is_file():
            write_bytes(tables_path(target, self.format), self._tables.read_bytes())
        return target

    def push_to_hub(
        self,
        repo_id: str,
        *,
        dtype: torch.dtype | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
    ) -> str:
        """Upload the model with a card to the Hub, for `from_pretrained(repo_id)`.

        A repository that does not exist is made, and a card that it has stays.

        Args:
            repo_id: `owner/name`.
            dtype: precision of the stored floats (None keeps theirs).
            private: whether a new repository is private (default: the owner's setting).
            token: access token of the Hub, or whether to use the one that is stored.
            revision: branch to commit to, made if it is not there (default: main).
            create_pr: whether to open a pull request instead.
            commit_message: what the commit says.
        Returns:
            Address of the commit.
        Raises:
            CheckpointError: the Hub cannot be reached, or refuses it.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, dtype=dtype)
            write_text(Path(folder) / CARD_NAME, model_card(self.config, repo_id))
            return upload_model(
                Path(folder),
                repo_id,
                private=private,
                token=token,
                revision=revision,
                create_pr=create_pr,
                commit_message=commit_message,
            )

    @property
    def model_fingerprint(self) -> bytes:
        """8 bytes that name the encoder's weights as they are now; codes carry them."""
        return self._fingerprint.of(self.encoder)

    @model_fingerprint.setter
    def model_fingerprint(self, name: bytes) -> None:
        self._fingerprint.set(self.encoder, name)

    @property
    def entropy_coder(self) -> EntropyCoder:
        """What entropy-codes this model's codes, for `Codes.save` and `Codes.load`.

        Raises:
            CheckpointError: a model without tables for that, or with damaged ones.
        """
        if self._tables is None:
            raise CheckpointError(
                "only a model from a folder has tables for entropy coding: load it with "
                "from_pretrained"
            )
        return read_coder(self._tables, self.format, self.model_fingerprint)

    @property
    def num_codebooks(self) -> int:
        """Streams of codes: semantic and acoustic; `vocab_sizes` has their sizes."""
        return NUM_STREAMS

    @property
    def qualities(self) -> dict[str, SamplingConfig]:
        """The settings behind "draft", "standard" and "best"; some may be the same."""
        config = self.config.decoder
        return qualities(config.sampling, config.sampling_presets)

    @property
    def device(self) -> torch.device:
        """Where the codec computes."""
        return self.decoder.latent_scale.device

    def sampling(
        self,
        sampling: SamplingConfig | str | None = None,
        *,
        quality: str | None = None,
        **settings: SamplingValue,
    ) -> SamplingConfig:
        """Return how `decode` samples with these arguments, the model's defaults filled in."""
        if sampling is not None and quality is not None:
            raise ConfigError("sampling and quality were given; one of them says how to sample")
        config = self.config.decoder
        given = [choice for choice in (sampling, quality) if choice is not None]
        chosen = given[0] if given else "standard"
        return choose_sampling(config.sampling, config.sampling_presets, chosen, **settings)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> CodecBase:
        """Move all modules, and change the precision of the decoder alone."""

        def without_precision(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        for module in self.children():
            module._apply(fn if module is self.decoder else without_precision)
        return self


def _other_lines(official: Mapping[str, Any]) -> str:
    """Return what to write in place of a call that the official package's class would take."""
    given = ", ".join(f"{name}={value!r}" for name, value in official.items())
    names = ("token_rate", "semantic_vocab_size")
    setting = ", ".join(f"{name}={official[name]!r}" for name in names if name in official)
    return (
        f"SemantiCodec({given}) is a call of the official package; write `from "
        f"semanticodec.compat import SemantiCodec` for that class, SemantiCodec.from_official"
        f"({setting}) for its weights, or SemantiCodec.from_pretrained() for the built-in model"
    )
