"""The two lowest rungs of the ladder from a recording to what the codec makes of it.

vocoder     wav -> mel -> vocoder -> wav
vae         wav -> mel -> VAE -> vocoder -> wav

With `oracle` and `model` above them, every rung adds one box; where numbers fall, that box loses
quality. Windows, their overlap and their padding are those of decoding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.mel import Mel
from semanticodec.audio.windows import STEP_SAMPLES, decode_ranges, overlap_add
from semanticodec.checkpoints.pretrained import model_folder, read_setting
from semanticodec.checkpoints.trained_module import load_vae, module_digest
from semanticodec.codec import SemantiCodec
from semanticodec.decoder.vae import VAE, PatchAnalysis, VAEDecoder
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.evaluation.systems.base import Detail, Reconstruction, System, file_digests
from semanticodec.evaluation.systems.model import BUILT_IN
from semanticodec.evaluation.systems.specs import (
    Spec,
    SystemOptions,
    folder_name,
    limited,
    read_options,
)
from semanticodec.token_format import WINDOW_SAMPLES

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

# Model folders hold a VAE's weights in float16; its export holds them in float32.
HALF_TOLERANCE = 2**-10
# Of Adam, from a linear analysis that is near: of the built-in model's squared error (0.0129 a
# mel bin) 30 steps save 4 %, and 90 more another 0.1 %.
FIT_STEPS = 20
FIT_RATE, LAST_FIT_RATE = 0.02, 0.001


class Rung(System):
    """What is left of a recording after its true mel went through a part of the decoder.

    Args:
        spec: specification of one of the kinds of this file.
        device: device of the model.
    Raises:
        CheckpointError: files missing, damaged or of another model.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The model whose part it is.

        Attributes:
            path: model folder or Hub repository; None: the built-in model.
            rate: tokens per second.
        """

        path: str | None = None
        rate: int | None = limited(1, default=None)

    def __init__(self, spec: Spec, device: str) -> None:
        options = self._read(spec)
        folder = model_folder(options.path)
        self.codec = SemantiCodec.from_pretrained(folder, token_rate=options.rate, device=device)
        self.decoder = self.codec.decoder
        self.mel = Mel().to(device)
        _, files = read_setting(folder, self.codec.token_rate)
        details: dict[str, Detail] = {
            "model": BUILT_IN if options.path is None else folder_name(options.path),
            "device": device,
            "fingerprint": self.codec.model_fingerprint.hex(),
            "weights_sha256": file_digests(files),
            "token_rate": self.codec.token_rate,
        }
        super().__init__(spec, details)

    def _read(self, spec: Spec) -> Options:
        return read_options(spec, type(self).Options)

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the recording that its mel gives; no bits are spent."""
        joined = torch.cat(list(overlap_add(self._windows(torch.from_numpy(wav)), len(wav))))
        return Reconstruction(wav=joined.numpy(), num_bits=None)

    def _windows(self, wav: Float[Tensor, " S"]) -> Iterator[Float[Tensor, " S2"]]:
        for start, end in decode_ranges(len(wav), WINDOW_SAMPLES):
            size = -(-(end - start) // STEP_SAMPLES) * STEP_SAMPLES
            if self.codec.config.pads_windows:
                size = WINDOW_SAMPLES
            window = F.pad(wav[start:end], (0, size - (end - start))).unsqueeze(0)  # S -> 1 S
            mel = self.mel(window.to(self.decoder.latent_scale.device))
            with torch.inference_mode():
                yield self.decoder.waveform(self.decoded_mel(mel)).cpu()[0]

    @abstractmethod
    def decoded_mel(self, mel: Float[Tensor, "1 T M"]) -> Float[Tensor, "1 T M"]:
        """Return what the vocoder is given for a window's true mel."""


class TrueMel(Rung):
    """The vocoder's own loss: it gets the true mel."""

    def decoded_mel(self, mel: Float[Tensor, "1 T M"]) -> Float[Tensor, "1 T M"]:
        return mel


class Autoencoder(Rung):
    """What VAE and vocoder lose together.

    Codecs hold only the decoder of their VAE. With `encoder`, the latent is the mean that its other
    half gives, which is what the T-UNet learns to sample. Without, it is searched for, from the
    patches' linear analysis on: the latent whose decoded mel is nearest to the true one.

    Raises:
        CheckpointError: `encoder` holds no VAE, or one with another decoder than the model's.
        ConfigError: no `encoder`, and a VAE without linear shortcut.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(Rung.Options):
        """Where the VAE's other half is.

        Attributes:
            encoder: export of the VAE that the model was built with; None: latents are fitted.
        """

        encoder: str | None = None

    def __init__(self, spec: Spec, device: str) -> None:
        super().__init__(spec, device)
        folder = read_options(spec, Autoencoder.Options).encoder
        self._encoder = None
        if folder is None:
            if not self.decoder.vae.config.patch_shortcut:
                raise ConfigError(
                    "the system 'vae' needs the encoder of this model's VAE; give "
                    "vae:encoder=FOLDER, an export of `semanticodec train vae`"
                )
            self.details["latent"] = f"fitted in {FIT_STEPS} steps"
            return
        vae = load_vae(Path(folder))
        _check_decoder(vae, self.decoder.vae, folder)
        self._encoder = vae.encoder.to(device)
        self.details["latent"] = f"mean of the encoder {module_digest(Path(folder))}"

    def decoded_mel(self, mel: Float[Tensor, "1 T M"]) -> Float[Tensor, "1 T M"]:
        """Return the VAE's mel of the latent of a true mel."""
        if self._encoder is None:
            latent = fitted_latent(self.decoder.vae, mel)
        else:
            latent, _ = self._encoder(mel)
        return self.decoder.vae(latent)


def _check_decoder(vae: VAE, ours: VAEDecoder, folder: str) -> None:
    theirs, own = vae.decoder.state_dict(), ours.state_dict()
    is_same = theirs.keys() == own.keys() and all(
        value.shape == own[key].shape
        and torch.allclose(value, own[key].cpu().float(), rtol=HALF_TOLERANCE, atol=HALF_TOLERANCE)
        for key, value in theirs.items()
    )
    if not is_same:
        raise CheckpointError(
            f"{folder} holds a VAE whose decoder is not the model's; give the export that the "
            "model was built with, or leave out encoder= to have latents fitted"
        )


def fitted_latent(
    vae: VAEDecoder, mel: Float[Tensor, "1 T M"], num_steps: int = FIT_STEPS
) -> Float[Tensor, "1 C T2 F"]:
    """Return the latent whose decoded mel is nearest to a mel, in mean squared error.

    Args:
        vae: the decoder, with `patch_shortcut`.
        mel: log mel; T and M multiples of the VAE's patch size.
        num_steps: steps of Adam, whose rate falls along a cosine.
    """
    with torch.inference_mode(False), torch.enable_grad():
        target = mel.clone()  # a tensor of inference mode has no gradients
        analysis = PatchAnalysis(vae.config).to(mel.device)
        latent = analysis(target.unsqueeze(1)).detach().requires_grad_()
        optimizer = torch.optim.Adam([latent], lr=FIT_RATE)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps, LAST_FIT_RATE)
        for _ in range(num_steps):
            loss = F.mse_loss(vae(latent), target)
            (latent.grad,) = torch.autograd.grad(loss, latent)
            optimizer.step()
            rates.step()
        return latent.detach()
