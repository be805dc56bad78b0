"""AudioMAE's features of windows, as the codec's encoder computes them before its quantizers.

windows of 10.24 s with look-ahead -> filter bank -> AudioMAE -> single patches (K = 1)
    -> stacked features of any token rate, and the mel beside them
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from semanticodec.audio.fbank import Fbank, normalize_fbank, window_fbank
from semanticodec.audio.mel import Mel, window_mel
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import valid_positions
from semanticodec.layers.stacking import stack_patches
from semanticodec.token_format import NUM_BANDS, WINDOW_SAMPLES, TokenGrid

LOOKAHEAD_FRAMES = 2


class WindowFeatures(NamedTuple):
    """AudioMAE's side of a batch of windows.

    Attributes:
        features: stacked, continuous.
        num_valid: positions before the last active frame; the encoder marks later ones.
        num_positions: positions that the codes of the window have; the decoder sees no others.
        mel: log-mel spectrogram, for acoustic encoders that see it.
    """

    features: Float[Tensor, "B L D"]
    num_valid: Int[Tensor, " B"]
    num_positions: Int[Tensor, " B"]
    mel: Float[Tensor, "B T M"]


class FeatureExtractor(nn.Module):
    """What `SemantiCodec.encode` computes before its quantizers, for single patches (K = 1).

    Windows are padded to 10.24 s (`CodecConfig.pads_windows`).

    Args:
        audiomae: the frozen network.
    """

    def __init__(self, audiomae: AudioMAE) -> None:
        super().__init__()
        self.audiomae = audiomae
        self.fbank = Fbank(audiomae.config.num_mel_bins)
        self.mel = Mel()

    @torch.no_grad()
    def forward(self, wav: Float[Tensor, "B S"], num_samples: Int[Tensor, " B"]) -> WindowFeatures:
        """Return the features of windows in float32, also under autocast.

        Args:
            wav: windows with their look-ahead, S = 164 080, zeros after `num_samples`.
            num_samples: samples of the recording in the window, the look-ahead not counted.
        """
        with torch.autocast(wav.device.type, enabled=False):
            rows = window_fbank(self.fbank, wav)
            # A window that its recording does not fill has no look-ahead: rows that are raw 0.
            is_short = (num_samples < WINDOW_SAMPLES).view(-1, 1, 1)
            is_last = torch.arange(rows.shape[1], device=rows.device) >= (
                rows.shape[1] - LOOKAHEAD_FRAMES
            )
            empty = normalize_fbank(torch.zeros((), device=rows.device))
            rows = torch.where(is_short & is_last.view(1, -1, 1), empty, rows)
            features = self.audiomae(rows)
            mel = window_mel(self.mel, wav)
        grid = TokenGrid.from_stack_factor(1)
        kept = [grid.num_positions(int(count)) for count in num_samples]
        return WindowFeatures(
            features=features,
            num_valid=valid_positions(rows, features.shape[1]),
            num_positions=torch.tensor(kept, device=wav.device),
            mel=mel,
        )


def stacked_features(
    patches: WindowFeatures, stack_factor: int, num_bands: int = NUM_BANDS
) -> WindowFeatures:
    """Return the features of another token rate from those of single patches.

    Args:
        patches: result of `FeatureExtractor`.
        stack_factor: K, 1, 2 or 4.
        num_bands: patches along the frequency axis.
    """
    times, bands = TokenGrid.from_stack_factor(stack_factor).block
    # Rounding up twice is rounding up once, by the product of the divisors.
    num_columns = -(-patches.num_positions // (num_bands * times))
    return WindowFeatures(
        features=stack_patches(patches.features, stack_factor, num_bands),
        num_valid=-(-patches.num_valid // stack_factor),
        num_positions=num_columns * (num_bands // bands),
        mel=patches.mel,
    )
