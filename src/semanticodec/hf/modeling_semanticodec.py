"""The codec as a model of `transformers`: a thin shell, all of it computed by `SemantiCodec`.

input_values [B, 1, T] -> encode -> audio_codes [B, 2, L] -> decode -> audio_values [B, 1, T]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput
from transformers.utils.hub import cached_file

from semanticodec.checkpoints.fingerprint import tensors_of
from semanticodec.checkpoints.hub import upload_model
from semanticodec.checkpoints.model_card import CARD_NAME, model_card
from semanticodec.checkpoints.pretrained import WEIGHTS_NAME, check_finite, opened
from semanticodec.codec import SemantiCodec
from semanticodec.config import CodecConfig
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.errors import AudioError, CheckpointError, CodesError
from semanticodec.files import write_text
from semanticodec.layers.uninitialized import Uninitialized

# Relative: as remote code these files lie in one folder of any name.
from .configuration_semanticodec import SemantiCodecConfig


@dataclass
class SemantiCodecEncoderOutput(ModelOutput):
    """What `encode` returns.

    Attributes:
        audio_codes: int64 [B, 2, L], semantic and acoustic stream.
        latents: float32 [B, D, L], the vectors that the codes stand for, where asked for.
        audio_codes_mask: int32 [B, 1, L], 1 where a position is the recording's.
    """

    audio_codes: Int[Tensor, "B K L"] | None = None
    latents: Float[Tensor, "B D L"] | None = None
    audio_codes_mask: Int[Tensor, "B 1 L"] | None = None


@dataclass
class SemantiCodecDecoderOutput(ModelOutput):
    """What `decode` returns.

    Attributes:
        audio_values: float32 [B, 1, T].
    """

    audio_values: Float[Tensor, "B 1 T"] | None = None


@dataclass
class SemantiCodecOutput(ModelOutput):
    """What a call of the model returns.

    Attributes:
        audio_values: float32 [B, 1, T], as long as the input; 0 where that was padding.
        audio_codes: int64 [B, 2, L], semantic and acoustic stream.
        latents: float32 [B, D, L], the vectors that the codes stand for, where asked for.
        audio_codes_mask: int32 [B, 1, L], 1 where a position is the recording's.
    """

    audio_values: Float[Tensor, "B 1 T"] | None = None
    audio_codes: Int[Tensor, "B K L"] | None = None
    latents: Float[Tensor, "B D L"] | None = None
    audio_codes_mask: Int[Tensor, "B 1 L"] | None = None


OutputT = TypeVar("OutputT", bound=ModelOutput)

# Where transformers looks for a file of a model.
WHERE = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")
# Shapes of the weights that are being loaded, by which a network that is built for them is judged.
_SHAPES: ContextVar[list[tuple[int, ...]] | None] = ContextVar("_SHAPES", default=None)


class SemantiCodecModel(PreTrainedModel):
    """A codec behind the interface of the audio tokenizers of `transformers`.

    Attributes:
        codec: the codec that computes everything; reach the rest of the package through it.
    """

    config_class = SemantiCodecConfig
    base_model_prefix = "codec"
    main_input_name = "input_values"
    input_modalities = "audio"
    # Read as it is; then the decoder alone gets another precision, so that codes stay the same.
    _keep_in_fp32_modules_strict = ["codec"]  # noqa: RUF012 - the library's form
    _no_split_modules = ["SemantiCodec"]  # noqa: RUF012

    def __init__(self, config: SemantiCodecConfig, codec: SemantiCodec | None = None) -> None:
        """Build the model.

        Args:
            config: sizes of the codec.
            codec: a codec of these sizes, which the model then shares; None: one with random
                weights.
        """
        super().__init__(config)
        # `from_pretrained` asks by this device for a model without memory. Tables such as filters
        # cannot be computed on it, so the memory is on the CPU, untouched.
        is_to_load = torch.empty(0).is_meta
        self.codec = _built(config.codec_config, is_to_load) if codec is None else codec
        self.post_init()

    @classmethod
    def from_codec(cls, codec: SemantiCodec) -> SemantiCodecModel:
        """Return a model around a codec, such as the built-in one."""
        return cls(SemantiCodecConfig.from_codec_config(codec.config), codec).eval()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a saved model; arguments are those of `PreTrainedModel.from_pretrained`.

        Raises:
            CheckpointError: weights that do not fit the configuration, or are NaN or infinite.
            ConfigError: a configuration of a far larger network than the weights are for.
        """
        wants_report = kwargs.pop("output_loading_info", False)
        name = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        limit = _SHAPES.set(_weight_shapes(name, kwargs))
        try:
            loaded: Any = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        finally:
            _SHAPES.reset(limit)
        model, report = loaded
        for what in ("missing_keys", "unexpected_keys"):
            if keys := sorted(report[what]):
                raise CheckpointError(
                    f"weights do not fit the configuration: {len(keys)} {what.replace('_', ' ')}, "
                    f"first {', '.join(keys[:3])}; if SemantiCodec saved them, write "
                    "SemantiCodecModel.from_codec(SemantiCodec.from_pretrained(...))"
                )
        for key, tensor in model.codec.state_dict().items():
            check_finite(tensor, key, Path(str(name)))
        _finish(model.codec)
        model.codec.decoder.to(model.config.dtype)
        return (model, report) if wants_report else model

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the model and, where there is none, a model card.

        Args:
            save_directory: created if missing; `SemantiCodec.from_pretrained` opens it too.
            kwargs: as for `PreTrainedModel.save_pretrained`.
        """
        where = f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"
        known = getattr(self.config, "auto_map", None) or {}
        self.config.auto_map = {**known, "AutoModelForAudioTokenization": where}
        super().save_pretrained(save_directory, **kwargs)
        self._write_card(save_directory, "")

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        private: bool | None = None,
        token: bool | str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        max_shard_size: int | str = "50GB",
    ) -> str:
        """Upload the model with its code and a card; see `SemantiCodec.push_to_hub`.

        The method of `transformers` would put an empty card in place of ours.
        """
        with tempfile.TemporaryDirectory() as folder:
            self._write_card(folder, repo_id)
            self.save_pretrained(folder, max_shard_size=max_shard_size)
            return upload_model(
                Path(folder),
                repo_id,
                private=private,
                token=token,
                revision=revision,
                create_pr=create_pr,
                commit_message=commit_message,
            )

    def _write_card(self, folder: str | os.PathLike[str], name: str) -> None:
        card = Path(folder) / CARD_NAME
        if not card.exists():
            write_text(card, model_card(self.codec.config, name, has_hf_code=True))

    def _init_weights(self, module: nn.Module) -> None:
        """Do nothing: modules have drawn their own weights when they were built."""

    def encode(
        self,
        input_values: Float[Tensor, "B 1 T"],
        padding_mask: Shaped[Tensor, "B ..."] | None = None,
        output_latents: bool = False,
        *,
        return_dict: bool | None = None,
    ) -> SemantiCodecEncoderOutput | tuple[Tensor, ...]:
        """Return the codes of recordings: those that `SemantiCodec.encode` gives each of them.

        Args:
            input_values: samples at `config.sampling_rate` in [-1, 1], at least 400 (25 ms) each.
            padding_mask: [B, T] or [B, 1, T], 1 where samples are real, which are to come first;
                None: all are.
            output_latents: whether to return the vectors that the codes stand for as well.
            return_dict: False for a tuple without what is None (default: the configuration's).
        Raises:
            AudioError: another shape, or padding before samples.
        """
        return self._returned(
            self._encoded(input_values, padding_mask, output_latents), return_dict
        )

    def decode(
        self,
        audio_codes: Int[Tensor, "B K L"] | None = None,
        latents: Float[Tensor, "B D L"] | None = None,
        audio_codes_mask: Shaped[Tensor, "B ..."] | None = None,
        *,
        seed: int | None = None,
        sampling: SamplingConfig | str | None = None,
        return_dict: bool | None = None,
    ) -> SemantiCodecDecoderOutput | tuple[Tensor, ...]:
        """Return the waveforms of codes, or of the latents behind them.

        Args:
            audio_codes: result of `encode`.
            latents: in place of `audio_codes`.
            audio_codes_mask: [B, L] or [B, 1, L], 1 where a position is the recording's, whole
                columns, which are to come first; None: all are.
            seed: random seed of the initial noise (default: `config.seed`).
            sampling: a quality's name or settings, as `codec.sampling(num_steps=4)` gives them.
            return_dict: False for a tuple (default: the configuration's).
        Returns:
            Waveforms, T = L * 320, 640 or 1280 at 100, 50 or 25 tokens per second; 0 behind the
            end of a shorter item.
        Raises:
            CodesError: both or neither of codes and latents, codes outside the vocabularies, or
                columns that are not whole.
        """
        if audio_codes is not None and latents is None:
            wav = self._decoded(audio_codes, audio_codes_mask, seed, sampling)
        elif latents is not None and audio_codes is None:
            wav = self._decoded_latents(latents, audio_codes_mask, seed, sampling)
        else:
            raise CodesError("give either audio_codes or latents to decode")
        return self._returned(SemantiCodecDecoderOutput(wav), return_dict)

    def forward(
        self,
        input_values: Float[Tensor, "B 1 T"],
        padding_mask: Shaped[Tensor, "B ..."] | None = None,
        output_latents: bool = False,
        *,
        seed: int | None = None,
        sampling: SamplingConfig | str | None = None,
        return_dict: bool | None = None,
    ) -> SemantiCodecOutput | tuple[Tensor, ...]:
        """Return what is left of recordings after `encode` and `decode`, and their codes.

        Args:
            input_values: as for `encode`.
            padding_mask: as for `encode`.
            output_latents: whether to return the vectors that the codes stand for as well.
            seed: random seed of the initial noise (default: `config.seed`).
            sampling: a quality's name or settings, as for `decode`.
            return_dict: False for a tuple without what is None (default: the configuration's).
        Raises:
            AudioError: see `encode`.
        """
        encoded = self._encoded(input_values, padding_mask, output_latents)
        codes, mask = encoded.audio_codes, encoded.audio_codes_mask
        assert codes is not None
        decoded = self._decoded(codes, mask, seed, sampling)
        length = input_values.shape[-1]
        wav = F.pad(decoded, (0, max(0, length - decoded.shape[-1])))[..., :length]
        lengths = _lengths(padding_mask, input_values, "padding_mask", AudioError)
        is_padding = ~_mask(lengths, length).bool().to(wav.device)
        wav = wav.masked_fill(is_padding, 0.0)
        return self._returned(SemantiCodecOutput(wav, codes, encoded.latents, mask), return_dict)

    def _encoded(
        self,
        input_values: Float[Tensor, "B 1 T"],
        padding_mask: Tensor | None,
        output_latents: bool,
    ) -> SemantiCodecEncoderOutput:
        if input_values.ndim != 3 or input_values.shape[1] != 1:
            raise AudioError(
                f"input_values have the shape {list(input_values.shape)}; give [B, 1, T], as the "
                "feature extractor does"
            )
        lengths = _lengths(padding_mask, input_values, "padding_mask", AudioError)
        wavs = [row[0, :length] for row, length in zip(input_values, lengths, strict=True)]
        codes = self.codec.encode(wavs, self.codec.sample_rate)
        mask = _mask(codes.num_positions, codes.semantic.shape[1])
        device = input_values.device
        latents = self.codec.dequantize(codes).mT.to(device) if output_latents else None
        return SemantiCodecEncoderOutput(codes.stacked().to(device), latents, mask.to(device))

    def _decoded(
        self,
        audio_codes: Int[Tensor, "B K L"],
        mask: Tensor | None,
        seed: int | None,
        sampling: SamplingConfig | str | None,
    ) -> Float[Tensor, "B 1 T"]:
        num_samples = self._num_samples(mask, audio_codes)
        longest = self.codec.format.num_positions(max(num_samples))
        ids = audio_codes[..., :longest].cpu()
        codes = self.codec.codes_from(ids, num_samples=num_samples)
        return self.codec.decode(codes, seed=self._seed(seed), sampling=sampling).to(
            audio_codes.device
        )

    def _decoded_latents(
        self,
        latents: Float[Tensor, "B D L"],
        mask: Tensor | None,
        seed: int | None,
        sampling: SamplingConfig | str | None,
    ) -> Float[Tensor, "B 1 T"]:
        num_samples = self._num_samples(mask, latents)
        longest = self.codec.format.num_positions(max(num_samples))
        rows = latents[..., :longest].mT.float().cpu()  # B D L -> B L D
        acoustic, semantic = rows.chunk(2, dim=-1)
        return self.codec.decode_features(
            acoustic, semantic, num_samples, sampling, seed=self._seed(seed)
        ).to(latents.device)

    def _seed(self, seed: int | None) -> int:
        return self.config.seed if seed is None else seed

    def _returned(self, output: OutputT, return_dict: bool | None) -> OutputT | tuple[Tensor, ...]:
        is_named = self.config.return_dict if return_dict is None else return_dict
        return output if is_named else output.to_tuple()

    def _num_samples(self, mask: Tensor | None, positions: Shaped[Tensor, "B _ L"]) -> list[int]:
        """Return the samples of every item's positions, which fill whole columns."""
        if positions.ndim != 3:
            raise CodesError(
                f"codes or latents of shape {list(positions.shape)}; give [B, 2, L] or [B, D, L], "
                "as encode does"
            )
        grid = self.codec.format
        lengths = _lengths(mask, positions, "audio_codes_mask", CodesError)
        for length in lengths:
            if length < 1 or length % grid.positions_per_column:
                raise CodesError(
                    f"an item of {length} positions; whole columns of {grid.positions_per_column} "
                    "are needed: cut the rest off, or use model.codec.codes_from(..., partial=...)"
                )
        return [length * grid.samples_per_position for length in lengths]


def _built(config: CodecConfig, is_to_load: bool) -> SemantiCodec:
    """Return a codec on the CPU, its weights random or, to be loaded, whatever memory holds."""
    with torch.device("cpu"), Uninitialized(_SHAPES.get()) if is_to_load else nullcontext():
        return SemantiCodec(config)


def _weight_shapes(name: Any, how: Mapping[str, Any]) -> list[tuple[int, ...]] | None:
    """Return the shapes of a model's weights, None where they are not in a single file."""
    if name is None:  # weights come as an argument
        return None
    try:
        path = cached_file(name, WEIGHTS_NAME, **{key: how[key] for key in WHERE if key in how})
    except OSError:
        return None
    if path is None:
        return None
    with opened(Path(path)) as file:
        return [tuple(file.get_slice(key).get_shape()) for key in file.keys()]  # noqa: SIM118


def _finish(codec: SemantiCodec) -> None:
    """Compute what no file holds: windows, filters, position codes, which loading leaves empty."""
    fresh = _built(codec.config, is_to_load=True)
    stored = fresh.state_dict()
    for name, buffer in fresh.named_buffers():
        if name not in stored:
            codec.get_buffer(name).copy_(buffer)
    # In the file's memory weights are not aligned, and products round in another way.
    for tensor in tensors_of(codec):
        tensor.data = tensor.data.clone()


def _mask(lengths: Sequence[int], longest: int) -> Int[Tensor, "B 1 T"]:
    """Return 1 in front of every item's end and 0 behind it."""
    return (torch.arange(longest) < torch.tensor(lengths)[:, None, None]).int()


def _lengths(
    mask: Shaped[Tensor, "B ..."] | None,
    values: Shaped[Tensor, "B _ T"],
    name: str,
    error: type[Exception],
) -> list[int]:
    """Return how much of every item is real; everything without a mask."""
    num_items, longest = len(values), values.shape[-1]
    if mask is None:
        return [longest] * num_items
    if mask.shape not in ((num_items, longest), (num_items, 1, longest)):
        raise error(
            f"{name} of shape {list(mask.shape)}; give [{num_items}, {longest}], one value for "
            "each that it masks"
        )
    rows = mask.reshape(num_items, longest).cpu().bool()
    lengths = rows.sum(dim=1).tolist()
    if not torch.equal(rows, _mask(lengths, longest)[:, 0].bool()):
        raise error(f"{name} has gaps, or padding at the front; padding is to stand at the end")
    return lengths
