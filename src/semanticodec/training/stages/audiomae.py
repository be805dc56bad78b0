"""Masked pre-training of AudioMAE: hide most patches of the fbank, predict them from the rest.

wav -> fbank -> patches -> keep 20 % -> encoder -> decoder -> mean squared error where hidden
             (optional) -> keep all  -> encoder -> features -> level and detail of every patch
"""

import dataclasses
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Parameter

from semanticodec.audio.fbank import Fbank, window_fbank
from semanticodec.checkpoints.trained_module import export_trained, restore_module
from semanticodec.encoder.audiomae import AudioMAE, patchify, unpatchify
from semanticodec.encoder.audiomae_decoder import AudioMAEDecoder
from semanticodec.training.data import Batch, rand_per_item
from semanticodec.training.detail_loss import DetailLoss
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import Stage, StepOutput

TARGET_EPS = 1e-6


def random_keep(
    generators: list[torch.Generator], num_patches: int, num_visible: int
) -> Int[Tensor, "B U"]:
    """Draw for every item which patches stay visible, in ascending order."""
    scores = rand_per_item(generators, (num_patches,))
    return scores.argsort(dim=1)[:, :num_visible].sort(dim=1).values


def masked_loss(
    predictions: Float[Tensor, "B L P"],
    targets: Float[Tensor, "B L P"],
    keep: Int[Tensor, "B U"],
) -> Float[Tensor, ""]:
    """Return the mean squared error over the pixels of the hidden patches."""
    errors = (predictions.float() - targets.float()).square().mean(dim=-1)  # B L P -> B L
    hidden = torch.ones_like(errors).scatter(1, keep, 0.0)
    return (errors * hidden).sum() / hidden.sum()


def normalize_patches(patches: Float[Tensor, "B L P"]) -> Float[Tensor, "B L P"]:
    """Give every patch mean 0 and variance 1, so that loud patches do not rule the loss.

    Source: He et al., Masked Autoencoders Are Scalable Vision Learners, Sec. 4.1.
    """
    mean = patches.mean(dim=-1, keepdim=True)
    variance = patches.var(dim=-1, keepdim=True)
    return (patches - mean) / (variance + TARGET_EPS).sqrt()


class AudioMAEStage(Stage):
    """Trains AudioMAE with its throw-away decoder; exports the encoder as `audiomae`."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes, and what the losses ask for.

        Attributes:
            audiomae: sizes of the encoder.
            decoder: sizes of the decoder.
            mask_ratio: share of the patches that are hidden.
            is_target_normalized: whether predicted patches have mean 0 and variance 1 (as in MAE).
            visible: settings of a second loss, on what the averaged features keep of their own
                patches when all are visible, as the codec uses them; None leaves it out. The
                masked loss alone asks for what is around a hidden patch, so features forget most
                of their own.
            visible_share: share of a batch's items for the second loss, which costs five times as
                much as the first.
            encoder_start: first step that trains the encoder. Where it starts from an export, an
                untrained decoder and head may undo what it has learned.
        """

        audiomae: AudioMAE.Config = dataclasses.field(default_factory=AudioMAE.Config)
        decoder: AudioMAEDecoder.Config = dataclasses.field(default_factory=AudioMAEDecoder.Config)
        mask_ratio: float = 0.8
        is_target_normalized: bool = True
        visible: DetailLoss.Config | None = None
        visible_share: float = 0.25
        encoder_start: int = 0

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.fbank = Fbank(config.audiomae.num_mel_bins)
        self.audiomae = AudioMAE(config.audiomae)
        self.decoder = AudioMAEDecoder(config.decoder)
        self.visible = None
        if config.visible is not None:
            sizes = config.audiomae
            self.visible = DetailLoss(config.visible, sizes.width, sizes.patch_size)

    def initialize(self, folder: Path) -> None:
        """Start the encoder from an export of the same sizes; the decoder stays random."""
        restore_module(self.audiomae, folder, "audiomae")

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return one group: encoder and decoder, without the fixed positions."""
        return {"audiomae": [p for p in self.parameters() if p.requires_grad]}

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the reconstruction error of the hidden patches, and of the visible if asked."""
        is_trained = torch.is_grad_enabled() and batch.step >= self.config.encoder_start
        predictions, targets, keep = self._predict(batch, is_trained)
        masked = masked_loss(predictions, targets, keep)
        if self.visible is None:
            return StepOutput(loss=masked)
        num_items = max(1, round(len(batch.wav) * self.config.visible_share))
        fbank = self._fbank(batch.wav[:num_items])
        with torch.set_grad_enabled(is_trained):
            features = self.audiomae(fbank)
        errors = self.visible(features, fbank)
        return StepOutput(
            loss=masked + self.visible.total(errors), scalars={"masked": masked, **errors}
        )

    def _predict(
        self, batch: Batch, is_encoder_trained: bool
    ) -> tuple[Float[Tensor, "B L P"], Float[Tensor, "B L P"], Int[Tensor, "B U"]]:
        fbank = self._fbank(batch.wav)
        targets = patchify(fbank, self.config.audiomae.patch_size)
        if self.config.is_target_normalized:
            targets = normalize_patches(targets)
        num_patches = targets.shape[1]
        num_visible = max(1, round(num_patches * (1.0 - self.config.mask_ratio)))
        keep = random_keep(batch.generators, num_patches, num_visible).to(fbank.device)
        with torch.set_grad_enabled(is_encoder_trained):
            visible = self.audiomae.encode_visible(self.audiomae.embed(fbank), keep)
        return self.decoder(visible, keep, num_patches), targets, keep

    def _fbank(self, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B T M"]:
        # Log energies need more digits than bf16 has.
        with torch.autocast(wav.device.type, enabled=False), torch.no_grad():
            return window_fbank(self.fbank, wav)

    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return target, masked input and prediction of the first item as spectrograms."""
        predictions, targets, keep = self._predict(batch, is_encoder_trained=False)
        bands = self.config.audiomae.num_bands
        hidden = torch.ones_like(targets[:1, :, :1]).scatter(1, keep[:1, :, None], 0.0)
        filled = targets[:1] * (1 - hidden) + predictions[:1].float() * hidden
        return {
            "target": Sample(spectrogram=unpatchify(targets[:1], bands)[0], wav=batch.wav[0]),
            "visible": Sample(spectrogram=unpatchify(targets[:1] * (1 - hidden), bands)[0]),
            "prediction": Sample(spectrogram=unpatchify(filled, bands)[0]),
        }

    def export(self, folder: Path) -> None:
        """Write the encoder."""
        export_trained(folder, "audiomae", self.audiomae)
