"""Features of EnCodec and DAC: the sum of their books' vectors, which their decoders see."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.checkpoints.fingerprint import fingerprint
from semanticodec.evaluation.semantics.features import Embedder, FeatureSpec, coded
from semanticodec.evaluation.systems.base import resampled
from semanticodec.evaluation.systems.peers import Dac, Encodec, Peer
from semanticodec.token_format import SAMPLE_RATE


class PeerEmbedder(Embedder):
    """Features of a residual vector quantizer, averaged over time."""

    LAYERS = ("all", "first")

    def _describe(
        self, system: Peer, specs: Sequence[FeatureSpec], frame_rate: float, num_books: int
    ) -> None:
        self.model = system.model
        self.rate_hz = self.model.config.sampling_rate
        vocab_sizes = [self.model.config.codebook_size] * num_books
        self.features = tuple(
            coded(spec, system.details, frame_rate, vocab_sizes[: self._num_used(spec.layers)])
            for spec in specs
        )
        # The shared fingerprint looks at encoders only; here every weight counts.
        weights = {f"encoder.{key}": value for key, value in self.model.state_dict().items()}
        self.fingerprint = f"{system.details}/{fingerprint(weights).hex()}"

    def embed(self, wav: Float[Tensor, " S"]) -> list[Float[Tensor, " D"]]:
        """Return the mean over time of each layer's vectors."""
        samples = torch.from_numpy(resampled(wav.numpy(), SAMPLE_RATE, self.rate_hz))
        codes = self.codes(samples.view(1, 1, -1).to(self.model.device))
        used = [self._num_used(features.key) for features in self.features]
        return [self.vectors(codes[:, :books])[0].mean(dim=-1) for books in used]

    @staticmethod
    def _num_used(layers: str) -> int | None:
        return 1 if layers == "first" else None

    @abstractmethod
    def codes(self, wav: Float[Tensor, "1 1 S"]) -> Int[Tensor, "1 books T"]:
        """Return the codes of N books."""

    @abstractmethod
    def vectors(self, codes: Int[Tensor, "1 books T"]) -> Float[Tensor, "1 D T"]:
        """Return the sum of the books' vectors."""


class EncodecEmbedder(PeerEmbedder):
    """Features of EnCodec at a bandwidth."""

    Options = Encodec.Options

    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None:
        system = Encodec(specs[0].spec, device)
        self.kbps = system.kbps
        num_books = system.model.quantizer.get_num_quantizers_for_bandwidth(self.kbps)
        self._describe(system, specs, system.model.config.frame_rate, num_books)

    def codes(self, wav: Float[Tensor, "1 1 S"]) -> Int[Tensor, "1 books T"]:
        """Return the codes of as many books as the bandwidth has."""
        # 1 1 N T: this model takes a recording as one chunk.
        return self.model.encode(wav, bandwidth=self.kbps).audio_codes[0]

    def vectors(self, codes: Int[Tensor, "1 books T"]) -> Float[Tensor, "1 D T"]:
        """Return the sum of the books' vectors."""
        return self.model.quantizer.decode(codes.transpose(0, 1))


class DacEmbedder(PeerEmbedder):
    """Features of DAC with some of its books."""

    Options = Dac.Options

    def __init__(self, specs: Sequence[FeatureSpec], device: str) -> None:
        system = Dac(specs[0].spec, device)
        self.num_books = system.num_codebooks
        config = system.model.config
        frame_rate = config.sampling_rate / config.hop_length
        self._describe(system, specs, frame_rate, self.num_books)

    def codes(self, wav: Float[Tensor, "1 1 S"]) -> Int[Tensor, "1 books T"]:
        """Return the codes of whole frames."""
        padded = F.pad(wav, (0, -wav.shape[-1] % self.model.config.hop_length))
        return self.model.encode(padded, n_quantizers=self.num_books).audio_codes

    def vectors(self, codes: Int[Tensor, "1 books T"]) -> Float[Tensor, "1 D T"]:
        """Return the sum of the books' vectors, out of their low-dimensional space."""
        return self.model.quantizer.from_codes(codes)[0]
