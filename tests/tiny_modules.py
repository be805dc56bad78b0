"""Exports of untrained modules in tiny sizes, and noise to train on, for the stages' tests."""

import numpy as np
import soundfile
import torch

from semanticodec.checkpoints.codebook_grid import round_to_grid
from semanticodec.checkpoints.trained_module import export_module, export_trained
from semanticodec.decoder.vae import VAE, VAEConfig
from semanticodec.decoder.vocos import Vocos
from semanticodec.encoder.audiomae import AudioMAE

WIDTH = 16


def export_audiomae(folder):
    torch.manual_seed(1)
    config = AudioMAE.Config(width=WIDTH, depth=3, num_heads=2)
    export_trained(folder, "audiomae", AudioMAE(config))
    return folder


def export_vae(folder):
    torch.manual_seed(2)
    config = VAEConfig(base_channels=8, num_res_blocks=1, num_groups=4)
    export_trained(folder, "vae", VAE(config))
    return folder


def export_vocoder(folder):
    torch.manual_seed(3)
    config = Vocos.Config(width=16, hidden=16, num_layers=1)
    export_trained(folder, "vocoder", Vocos(config))
    return folder


def export_codebook(folder, *, stack_factor=1, vocab_sizes=(8, 16)):
    torch.manual_seed(4)
    width = stack_factor * WIDTH
    config = {"vocab_sizes": list(vocab_sizes), "stack_factor": stack_factor, "width": width}
    config["entries"] = {str(size): {"general": size - 2, "speech": 2} for size in vocab_sizes}
    weights = {f"codebook_{size}": round_to_grid(torch.randn(size, width)) for size in vocab_sizes}
    export_module(folder, name="codebook", config=config, weights=weights)
    return folder


def write_audio(folder, *, seconds=(3.0, 12.0), domains=("general", "music", "speech")):
    """Write one recording of noise per domain and length; returns the folder."""
    rng = np.random.default_rng(0)
    for domain in domains:
        (folder / domain).mkdir(parents=True, exist_ok=True)
        for number, duration_s in enumerate(seconds):
            wav = rng.normal(0, 0.1, round(duration_s * 16000))
            soundfile.write(folder / domain / f"{number}.wav", wav, 16000)
    return folder
