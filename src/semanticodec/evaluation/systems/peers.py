"""Other people's neural codecs, EnCodec and DAC, through transformers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from semanticodec.checkpoints.transformers_model import read_model
from semanticodec.errors import (
    CheckpointError,
    ConfigError,
    MissingDependencyError,
    SemantiCodecError,
)
from semanticodec.evaluation.systems.base import (
    Detail,
    Reconstruction,
    System,
    bits_per_code,
    file_digests,
    fitted,
    resampled,
)
from semanticodec.evaluation.systems.specs import (
    PATH,
    Spec,
    SystemOptions,
    folder_name,
    limited,
    number,
    read_options,
)
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

ENCODEC_HUB_ID = "facebook/encodec_24khz"
DAC_HUB_ID = "descript/dac_16khz"


class Peer(System):
    """A codec of transformers with one channel, at its own sample rate.

    Args:
        spec: specification of one of the kinds of this file.
        model: loaded, on its device.
        details: settings for reports.
    """

    def __init__(self, spec: Spec, model: Any, details: Mapping[str, Detail]) -> None:
        self.model = model
        folder = spec.options.get(PATH)
        if folder is None:
            # What transformers calls the revision that the Hub gave.
            commit = getattr(model.config, "_commit_hash", None)
            origin: dict[str, Detail] = {"model": model.name_or_path, "commit": commit}
        else:
            weights = sorted(Path(folder).glob("*.safetensors"))
            origin = {"model": folder_name(folder), "weights_sha256": file_digests(weights)}
        super().__init__(spec, {**origin, "sample_rate": model.config.sampling_rate, **details})

    @torch.inference_mode()
    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the clip after resampling to the model and back, and the bits of its codes."""
        rate = self.model.config.sampling_rate
        inputs = torch.from_numpy(resampled(wav, SAMPLE_RATE, rate)).view(1, 1, -1)
        codes, outputs = self.round_trip(inputs.to(self.model.device))
        decoded = resampled(outputs.flatten().float().cpu().numpy(), rate, SAMPLE_RATE)
        num_bits = codes.numel() * bits_per_code(self.model.config.codebook_size)
        return Reconstruction(wav=fitted(decoded, len(wav)), num_bits=num_bits)

    @abstractmethod
    def round_trip(
        self, wav: Float[Tensor, "1 1 S"]
    ) -> tuple[Int[Tensor, " ..."], Float[Tensor, " ..."]]:
        """Return the codes, all of which count, and the samples that they decode to."""


class Encodec(Peer):
    """EnCodec at one of the bandwidths that it was trained for."""

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The bandwidth, and the folder of a model of transformers (None: from the Hub)."""

        kbps: float = limited(0)
        path: str | None = None

    def __init__(self, spec: Spec, device: str) -> None:
        self.kbps = read_options(spec, Encodec.Options).kbps
        model = _load(spec, "encodec", "EncodecModel", ENCODEC_HUB_ID, device)
        offered = model.config.target_bandwidths
        if self.kbps not in offered:
            raise ConfigError(
                f"encodec has no {self.kbps:g} kbps; choose from {', '.join(map(str, offered))}"
            )
        super().__init__(spec, model, {"kbps": self.kbps})

    def round_trip(
        self, wav: Float[Tensor, "1 1 S"]
    ) -> tuple[Int[Tensor, " ..."], Float[Tensor, " ..."]]:
        """Return codes [1, 1, books, frames] and whole frames of samples."""
        encoded = self.model.encode(wav, bandwidth=self.kbps)
        decoded = self.model.decode(encoded.audio_codes, encoded.audio_scales)
        return encoded.audio_codes, decoded.audio_values


class Dac(Peer):
    """DAC with the first of its codebooks, or all.

    At the stride of 5 in the 16 kHz model the decoder loses samples: its last frame ends 8 early.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """Number of codebooks (None: all), and the folder of a model (None: from the Hub)."""

        books: int | None = limited(1, default=None)
        path: str | None = None

    def __init__(self, spec: Spec, device: str) -> None:
        books = read_options(spec, Dac.Options).books
        model = _load(spec, "dac", "DacModel", DAC_HUB_ID, device)
        most = model.config.n_codebooks
        self.num_codebooks = number("books", str(books or most), int, low=1, high=most)
        super().__init__(spec, model, {"num_codebooks": self.num_codebooks})

    def round_trip(
        self, wav: Float[Tensor, "1 1 S"]
    ) -> tuple[Int[Tensor, " ..."], Float[Tensor, " ..."]]:
        """Return codes [1, books, frames] and the samples of whole frames."""
        padded = F.pad(wav, (0, -wav.shape[-1] % self.model.config.hop_length))
        codes = self.model.encode(padded, n_quantizers=self.num_codebooks).audio_codes
        return codes, self.model.decode(audio_codes=codes).audio_values


def _load(spec: Spec, model_type: str, class_name: str, hub_id: str, device: str) -> Any:
    """Return a model in evaluation mode.

    Raises:
        MissingDependencyError: transformers is not installed.
        CheckpointError: the model cannot be had, is of another type, or lacks weights.
        ConfigError: `path` is no folder, or the model has several channels.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            f"the system '{spec.kind}' needs transformers; pip install 'semanticodec[peers]'"
        ) from error
    folder = spec.options.get(PATH)
    if folder is not None and not Path(folder).is_dir():
        raise ConfigError(f"path={folder} is no folder; give one with a model of transformers")
    source, is_local = folder or hub_id, folder is not None
    # Its bars and tables would tear the progress bar of the evaluation; what is missing is
    # an error below.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        config = transformers.AutoConfig.from_pretrained(
            source, local_files_only=is_local, trust_remote_code=False
        )
        _check_config(config, source, model_type)
        kind = getattr(transformers, class_name)
        model, missing = read_model(kind, source, is_folder=is_local, config=config)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error, SemantiCodecError):
            raise
        raise CheckpointError(
            f"the model {source} cannot be loaded ({str(error).splitlines()[0]}); give a folder "
            f"with config.json and model.safetensors as {PATH}=FOLDER, or go online"
        ) from error
    if missing:
        raise CheckpointError(
            f"the model {source} lacks {len(missing)} tensors, first {', '.join(missing[:3])}; "
            "its weights belong to another configuration"
        )
    return model.to(device).eval()


def _check_config(config: Any, source: str, model_type: str) -> None:
    if config.model_type != model_type:
        raise CheckpointError(
            f"{source} holds a model of type {config.model_type}; {model_type} is needed"
        )
    num_channels = getattr(config, "audio_channels", 1)
    if num_channels != 1:
        raise ConfigError(f"{source} takes {num_channels} channels; give a model of one")
