"""Waveforms and the two spectrogram front ends: `fbank` for AudioMAE, `mel` for the VAE and the vocoder."""

from semanticodec.audio.fbank import Fbank, window_fbank
from semanticodec.audio.io import load_audio, save_audio
from semanticodec.audio.mel import Mel

__all__ = ["Fbank", "Mel", "load_audio", "save_audio", "window_fbank"]
