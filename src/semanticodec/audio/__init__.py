"""Waveforms and their two front ends: `fbank` for AudioMAE, `mel` for VAE and vocoder."""

from semanticodec.audio.fbank import Fbank, window_fbank
from semanticodec.audio.io import load_audio, save_audio
from semanticodec.audio.mel import Mel

__all__ = ["Fbank", "Mel", "load_audio", "save_audio", "window_fbank"]
