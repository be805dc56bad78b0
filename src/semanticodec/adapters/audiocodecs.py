"""The interface of lucadellalib/audiocodecs, whose downstream tasks then run on our tokens.

    codec = AudioCodec(SemantiCodec.from_pretrained(), sample_rate=16_000)
    toks = codec.sig_to_toks(sig)     # [B, T] -> [B, N, K]
    sig = codec.toks_to_sig(toks)     # [B, N, K] -> [B, T]

Shapes: B batch · T samples · N positions · K = 2 codebooks, semantic and acoustic · C entries of
the larger one · H width of a vector. Features stand side by side in the order of the codebooks.

That library's own class for this codec is written for the official package, which has the same
import name as this one, and does not work with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.io import resample_blocks
from semanticodec.codec import SemantiCodec
from semanticodec.errors import AudioError, CodesError, ConfigError

MODES = ("encode", "decode", "reconstruct")


class AudioCodec(nn.Module):
    """A codec with the methods that the library's downstream tasks call.

    Lengths are relative, as in SpeechBrain: the real part of every item, from 0 to 1 of the
    longest. What lies behind it is 0 in every result.

    Attributes:
        codec: the codec that computes.
        sample_rate: Hz of signals on both sides; other rates than the codec's are resampled.
        orig_sample_rate: Hz of the codec, 16 000.
        mode: what a call does: "encode", "decode" or "reconstruct".
        num_codebooks: K.
        vocab_size: C, the entries of the larger codebook.
        seed: random seed of decoding.
    """

    def __init__(
        self,
        codec: SemantiCodec,
        sample_rate: int = 16_000,
        mode: str = "reconstruct",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f"mode is {mode!r}; choose one of {', '.join(MODES)}")
        self.codec = codec
        self.sample_rate = sample_rate
        self.orig_sample_rate = codec.sample_rate
        self.mode = mode
        self.num_codebooks = codec.num_codebooks
        self.vocab_size = max(codec.vocab_sizes)
        self.seed = seed

    def forward(self, input: Tensor, length: Float[Tensor, " B"] | None = None) -> Tensor:
        """Do what `mode` says: signals to tokens, tokens to signals, or signals to signals."""
        if self.mode == "encode":
            return self.sig_to_toks(input, length)
        toks = input if self.mode == "decode" else self.sig_to_toks(input, length)
        sig = self.toks_to_sig(toks, length)
        if self.mode == "decode":
            return sig
        return F.pad(sig, (0, max(0, input.shape[-1] - sig.shape[-1])))[:, : input.shape[-1]]

    def sig_to_toks(
        self, sig: Float[Tensor, "B T"], length: Float[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B N K"]:
        """Return the tokens of signals.

        Args:
            sig: mono, in [-1, 1], at `sample_rate`.
            length: relative lengths (default: all of them whole).
        Raises:
            AudioError: another shape, or shorter than 25 ms.
        """
        codes = self.codec.encode(self._signals(sig, length), self.sample_rate)
        return codes.paired().to(sig.device)

    def toks_to_sig(
        self, toks: Int[Tensor, "B N K"], length: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T"]:
        """Return the signals of tokens; a last column that is not whole is cut off.

        Args:
            toks: result of `sig_to_toks`, or a language model's.
            length: relative lengths, of tokens or of the signals that they were made of.
        Raises:
            CodesError: another shape, no whole column, or tokens outside their codebooks.
        """
        lengths = self._num_samples(toks, length)
        longest = self.codec.format.num_positions(max(lengths))
        codes = self.codec.codes_from(toks[:, :longest].cpu(), "paired", num_samples=lengths)
        return self._resampled(self.codec.decode(codes, seed=self.seed)).to(toks.device)

    def sig_to_feats(
        self, sig: Float[Tensor, "B T"], length: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N KH"]:
        """Return what the quantizers would round; arguments as for `sig_to_toks`."""
        return self._features(sig, length, "unquantized")

    def sig_to_qfeats(
        self, sig: Float[Tensor, "B T"], length: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N KH"]:
        """Return the vectors that the tokens stand for; arguments as for `sig_to_toks`."""
        return self._features(sig, length, "all")

    def toks_to_qfeats(
        self, toks: Int[Tensor, "B N K"], length: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N KH"]:
        """Return the vectors that tokens stand for; arguments as for `toks_to_sig`."""
        lengths = self._num_samples(toks, length)
        longest = self.codec.format.num_positions(max(lengths))
        codes = self.codec.codes_from(toks[:, :longest].cpu(), "paired", num_samples=lengths)
        return _swapped(self.codec.dequantize(codes)).to(toks.device)

    def feats_to_sig(
        self, feats: Float[Tensor, "B N KH"], length: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T"]:
        """Return the signals of features, quantized or not.

        Args:
            feats: result of `sig_to_feats`, `sig_to_qfeats` or `toks_to_qfeats`.
            length: relative lengths.
        Raises:
            CodesError: another shape, or no whole column.
        """
        lengths = self._num_samples(feats, length)
        longest = self.codec.format.num_positions(max(lengths))
        semantic, acoustic = feats[:, :longest].float().cpu().chunk(2, dim=-1)
        decoded = self.codec.decode_features(acoustic, semantic, lengths, seed=self.seed)
        return self._resampled(decoded).to(feats.device)

    def embs(self) -> Float[Tensor, "K C H"]:
        """Return the vectors of both codebooks; those of the smaller end with zeros."""
        with torch.no_grad():
            encoder, device = self.codec.encoder, self.codec.device
            semantic = torch.arange(self.codec.semantic_vocab_size, device=device)[None]
            size = self.codec.config.encoder.quantizer.codebook_size
            acoustic = torch.arange(size, device=device)[None]
            tables = (
                encoder.semantic.decode(semantic, self.codec.semantic_vocab_size)[0],
                encoder.quantizer.decode(acoustic)[0],
            )
            longest = self.vocab_size
            return torch.stack([F.pad(each, (0, 0, 0, longest - len(each))) for each in tables])

    def _features(self, sig: Tensor, length: Tensor | None, layers: str) -> Float[Tensor, "B N KH"]:
        signals = self._signals(sig, length)
        return _swapped(self.codec.features(signals, layers, self.sample_rate)).to(sig.device)

    def _signals(self, sig: Tensor, length: Tensor | None) -> list[Tensor]:
        """Return the real part of every signal."""
        if sig.ndim != 2 or not len(sig):
            raise AudioError(f"signals of shape {list(sig.shape)}; give [B, T], mono")
        shares = _shares(length, len(sig))
        return [row[: round(len(row) * share)] for row, share in zip(sig, shares, strict=True)]

    def _num_samples(self, positions: Tensor, length: Tensor | None) -> list[int]:
        """Return the samples of the whole columns of every item, at the codec's rate."""
        if positions.ndim != 3 or not len(positions):
            raise CodesError(
                f"tokens or features of shape {list(positions.shape)}; give [B, N, ...]"
            )
        grid = self.codec.format
        columns = positions.shape[1] // grid.positions_per_column
        if not columns:
            raise CodesError(
                f"{positions.shape[1]} positions are no whole column; give at least "
                f"{grid.positions_per_column}"
            )
        # Shares of samples end inside a column, which counts; rounding errors do not.
        shares = _shares(length, len(positions))
        real = [max(1, int(np.ceil(columns * share - 1e-4))) for share in shares]
        return [number * grid.samples_per_column for number in real]

    def _resampled(self, wav: Float[Tensor, "B 1 S"]) -> Float[Tensor, "B T"]:
        rows = wav[:, 0]
        if self.sample_rate == self.orig_sample_rate:
            return rows
        return torch.stack([self._at_own_rate(row) for row in rows])

    def _at_own_rate(self, row: Tensor) -> Tensor:
        blocks = resample_blocks([row.numpy()], self.orig_sample_rate, self.sample_rate)
        return torch.from_numpy(np.concatenate(list(blocks)))


def _swapped(features: Float[Tensor, "B N KH"]) -> Float[Tensor, "B N KH"]:
    """Return acoustic and semantic features in the order of the codebooks."""
    acoustic, semantic = features.chunk(2, dim=-1)
    return torch.cat((semantic, acoustic), dim=-1)


def _shares(length: Tensor | None, num_items: int) -> Sequence[float]:
    if length is None:
        return [1.0] * num_items
    shares = length.flatten().tolist()
    if len(shares) != num_items or not all(0 < share <= 1 for share in shares):
        raise ConfigError(
            f"relative lengths {shares}; give one for each of {num_items} items, above 0 and up "
            "to 1"
        )
    return shares
