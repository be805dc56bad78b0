"""Speech recognizers that word errors are counted with: pocketsphinx (offline) and Whisper.

Whisper comes in two forms: transformers' (safetensors), decoded greedily as in the paper, and
CTranslate2's (model.bin), decoded by faster-whisper with five beams.
"""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.checkpoints.transformers_model import read_model
from semanticodec.errors import CheckpointError, ConfigError, DataError
from semanticodec.evaluation.metrics.base import needs
from semanticodec.token_format import SAMPLE_RATE

WHISPER = "openai/whisper-large-v3"  # the paper's
START_TOKEN = "<|startoftranscript|>"
WHISPER_SECONDS = 30  # what its encoder sees at once
CTRANSLATE2_WEIGHTS = "model.bin"
# Without its tokenizer, faster-whisper would fetch another one from the Hub.
CTRANSLATE2_FILES = (CTRANSLATE2_WEIGHTS, "config.json", "tokenizer.json")
BEAM_SIZE = 5  # OpenAI's and faster-whisper's own
KINDS = "pocketsphinx, whisper, whisper=FOLDER or whisper=OWNER/NAME"


class Recognizer(ABC):
    """Writes down what is said.

    Attributes:
        name: name in reports; no path.
    """

    name: str

    @abstractmethod
    def transcribe(self, wav: Float[np.ndarray, " S"], language: str | None = None) -> str:
        """Return the words of a clip, in whatever spelling the recognizer has.

        Args:
            wav: 16 kHz mono in [-1, 1].
            language: code such as `en`; None: unknown.
        Raises:
            DataError: a language that the recognizer does not know.
            CheckpointError: its weights cannot be loaded.
        """

    def remembered(self, wav: Float[np.ndarray, " S"], language: str | None = None) -> str:
        """Return what `transcribe` does, and remember it: originals come once per system."""
        key = hashlib.sha256(wav.tobytes()).digest(), language
        if key not in self._texts:
            self._texts[key] = self.transcribe(wav, language)
        return self._texts[key]

    @cached_property
    def _texts(self) -> dict[tuple[bytes, str | None], str]:
        return {}


def open_recognizer(spec: str, *, device: str = "cpu") -> Recognizer:
    """Return a recognizer; its weights are loaded when the first clip comes.

    Args:
        spec: `pocketsphinx`; `whisper` for openai/whisper-large-v3 from the Hub's cache or the
            Hub; `whisper=` and a folder, of transformers or CTranslate2, or a Hub id for another.
        device: device of Whisper, such as `cpu` or `cuda`.
    Raises:
        ConfigError: no such recognizer, or no such folder.
        MissingDependencyError: its package is not installed.
    """
    kind, _, value = spec.partition("=")
    if kind == "whisper":
        folder = Path(value).expanduser()
        if value and (folder / CTRANSLATE2_WEIGHTS).is_file():
            return FasterWhisper(folder, device=device)
        return Whisper(value or WHISPER, device=device)
    if spec == "pocketsphinx":
        return PocketSphinx()
    raise ConfigError(f"there is no recognizer '{spec}'; use {KINDS}")


def _code(language: str | None) -> str | None:
    """Return the language of a code that may name a region too: `en` of `en-GB`."""
    return re.split("[-_]", language.lower())[0] if language else None


class PocketSphinx(Recognizer):
    """CMU's small recognizer of English, whose models come with its package.

    It misses about half of the words of clean readings: good for comparing systems over many
    clips, and only beside its result on the originals.
    """

    name = "pocketsphinx"

    def __init__(self) -> None:
        with needs("pocketsphinx"):
            import pocketsphinx  # noqa: F401

    @cached_property
    def _decoder(self) -> Any:
        from pocketsphinx import Decoder

        return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", logfn=os.devnull)

    def transcribe(self, wav: Float[np.ndarray, " S"], language: str | None = None) -> str:
        if _code(language) not in (None, "en", "english"):
            raise DataError(f"pocketsphinx knows English only, not '{language}'; use whisper")
        pcm = np.clip(np.round(wav * 32768.0), -32768, 32767).astype("<i2")
        # Without this, what it learned of the sound of earlier clips would change the result.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        if len(pcm):
            self._decoder.process_raw(pcm.tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""


class Whisper(Recognizer):
    """A Whisper model through transformers, greedy decoding in float32.

    Args:
        source: a folder, which is read without touching the network, or a Hub id.
        device: such as `cpu` or `cuda`.
    """

    def __init__(self, source: str, *, device: str = "cpu") -> None:
        folder = Path(source).expanduser()
        self._is_folder = folder.is_dir()
        if not self._is_folder and not re.fullmatch(r"\w[\w.-]*/[\w.-]+", source):
            raise ConfigError(
                f"'{source}' is neither a folder nor a Hub id owner/name; give whisper=FOLDER "
                "with config.json, model.safetensors or CTranslate2's model.bin, and the "
                f"tokenizer's files, or {WHISPER}"
            )
        with needs("transformers", extra="peers"):
            import transformers  # noqa: F401
        self.name = f"whisper ({folder.resolve().name if self._is_folder else source})"
        self._source = str(folder) if self._is_folder else source
        self._device = device

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """The processor and the model, loaded once."""
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        try:
            processor = WhisperProcessor.from_pretrained(
                self._source, local_files_only=self._is_folder
            )
            model, missing = read_model(
                WhisperForConditionalGeneration, self._source, is_folder=self._is_folder
            )
        except Exception as error:  # damaged files raise whatever their readers do
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckpointError(
                f"Whisper could not be loaded from {self._source}: {reason}; download "
                "the model once, or give whisper=FOLDER with its safetensors and tokenizer files"
            ) from error
        if missing:
            raise CheckpointError(
                f"{self._source} lacks {len(missing)} of Whisper's weights, such as {missing[0]}; "
                "download the model again"
            )
        # Nor does it mind a tokenizer without words.
        start = model.config.decoder_start_token_id
        if processor.tokenizer.convert_ids_to_tokens(start) != START_TOKEN:
            raise CheckpointError(
                f"{self._source} has no tokenizer that fits the model; download its files again"
            )
        return processor, model.to(device=self._device, dtype=torch.float32).eval()

    def transcribe(self, wav: Float[np.ndarray, " S"], language: str | None = None) -> str:
        processor, model = self._parts
        is_long = len(wav) > WHISPER_SECONDS * SAMPLE_RATE
        # Longer clips keep their length and are decoded window by window, guided by timestamps.
        lengths = {"truncation": False, "padding": "longest"} if is_long else {}
        inputs = processor(
            wav,
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
            return_attention_mask=True,
            **lengths,
        ).to(self._device)
        # English-only models refuse these two.
        is_multilingual = getattr(model.generation_config, "is_multilingual", True)
        choice = {"task": "transcribe", "language": _code(language)} if is_multilingual else {}
        try:
            tokens = model.generate(
                inputs.input_features,
                attention_mask=inputs.attention_mask,
                return_timestamps=is_long,
                do_sample=False,
                num_beams=1,
                **choice,
            )
        except ValueError as error:
            if "language" not in choice or choice["language"] is None:
                raise
            raise DataError(
                f"Whisper does not take the language '{language}': {str(error).splitlines()[0]}"
            ) from error
        return processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()


class FasterWhisper(Recognizer):
    """A Whisper model in CTranslate2's form through faster-whisper: five beams, float32.

    Windows of 30 s do not see each other's text, and no temperature is drawn from: the same clip
    always gives the same text.

    Args:
        folder: folder with `model.bin`; nothing is read from the network.
        device: such as `cpu` or `cuda`.
    Raises:
        CheckpointError: a file of the folder is missing.
        MissingDependencyError: faster-whisper is not installed.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        with needs("faster-whisper"):
            import faster_whisper  # noqa: F401
        missing = [name for name in CTRANSLATE2_FILES if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(
                f"{folder} lacks {', '.join(missing)}; convert the model again with "
                "ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json"
            )
        self.name = f"faster-whisper ({folder.resolve().name})"
        self._folder = folder
        self._device = device

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        try:
            # Its threads are those of OMP_NUM_THREADS.
            return WhisperModel(
                str(self._folder),
                device=torch.device(self._device).type,
                compute_type="float32",
                local_files_only=True,
            )
        except Exception as error:  # damaged files raise whatever their readers do
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckpointError(
                f"Whisper could not be loaded from {self._folder}: {reason}; "
                "download or convert the model again"
            ) from error

    def transcribe(self, wav: Float[np.ndarray, " S"], language: str | None = None) -> str:
        code = _code(language)
        # The package would take everything for English.
        if code not in (None, "en") and not self._model.model.is_multilingual:
            raise DataError(
                f"{self.name} knows English only, not '{language}'; use another Whisper"
            )
        try:
            segments, _ = self._model.transcribe(
                wav.astype(np.float32, copy=False),
                language=code,
                beam_size=BEAM_SIZE,
                condition_on_previous_text=False,
                temperature=0.0,
            )
        except ValueError as error:
            if language is None:
                raise
            raise DataError(
                f"Whisper does not take the language '{language}': {str(error).splitlines()[0]}"
            ) from error
        return " ".join(segment.text.strip() for segment in segments)
