"""The table of vocoders; `vocoder.py` says what is asked of one."""

from __future__ import annotations

from collections.abc import Mapping

from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocoder import Vocoder, VocoderConfig
from semanticodec.decoder.vocos import Vocos

# Names as config.json has them.
VOCODERS: Mapping[str, type[Vocoder]] = {
    "hifigan": HiFiGAN,
    "vocos": Vocos,
    "harmonic_vocos": HarmonicVocos,
}


def make_vocoder(config: VocoderConfig) -> Vocoder:
    """Return the vocoder that a configuration describes."""
    [kind] = [kind for kind in VOCODERS.values() if type(config) is kind.Config]
    return kind(config)
