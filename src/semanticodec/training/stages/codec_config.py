"""The settings of the codec's training, and the configuration of the codec that they make."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from semanticodec.audio.mel import NUM_MEL_BINS
from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.decoder.decoder import LATENT_BINS, LATENT_FRAMES, Decoder, SamplingConfig
from semanticodec.decoder.preconditioning import Preconditioning
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import TUNet
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.quantizer import QuantizerConfig
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.layers.told_energies import ToldEnergies
from semanticodec.token_format import NUM_BANDS, TokenGrid
from semanticodec.training.stages.codec_rate import RateConfig
from semanticodec.training.stages.modules import FrozenModules
from semanticodec.training.windows import NORMAL_SPEED


@dataclass(frozen=True, kw_only=True)
class CodecStageConfig:
    """What is trained and how; widths that follow from the frozen modules are filled in.

    Attributes:
        stack_factors: K of every token rate, 1, 2 or 4 each. Several rates are trained together
            around one T-UNet: the first is then 1, and the exported model's default.
        is_vocabulary_fixed: whether the largest semantic codebook is the only one, instead of one
            drawn of all per batch (Sec. IV-D).
        acoustic_hidden: hidden width of the acoustic encoder; 0 = twice the features'.
        acoustic_layers: layers of the acoustic encoder's LSTM.
        is_acoustic_bidirectional: whether the acoustic encoder's LSTM runs in both directions.
        is_acoustic_residual: whether the acoustic encoder starts as features minus centroid.
        sees_mel: whether the acoustic encoder sees the mel beside the features, see
            `AcousticEncoder.Config`. It then starts at what semantic codes leave untold of it,
            see `acoustic_start`.
        quantizer: sizes of one of the acoustic quantizers; its width is replaced.
        acoustic_start: first step that trains the acoustic encoder. Until then the T-UNet
            learns to use codes of the vectors that the encoder starts with (the codebook
            follows and revives as always); a network that does not yet use them leaves the
            encoder to the commitment loss, which is least where all vectors are alike.
        is_code_space_fixed: whether the quantizer's projections stay as they start. The codes
            then have a space that does not move under them.
        unstacks_condition: whether the condition's positions are taken apart into patches, see
            `Condition.Config`; T-UNets of all stack factors are then alike. Several rates need it.
        unquantized_share: share of the items whose condition is what the quantizers would
            give if every vector had a code of its own, so that the T-UNet meets it too.
        position_width: width of the condition's position codes.
        unet: sizes of the T-UNet; its context width and grid are replaced.
        schedule: noise schedule of the diffusion.
        is_preconditioned: whether the T-UNet is preconditioned; see `Preconditioning`.
        pads_windows: whether the model pads windows to 10.24 s, see `CodecConfig`.
        sampling: default sampling settings of the model.
        timestep_shift: shift of the timesteps drawn in training, see `shift_time`; 1 = uniform.
        condition_dropout: share of the items trained without condition (Eq. 10).
        cached_windows: windows at most for which the frozen modules' results are computed
            beforehand and kept in RUN/cache, see `useful_windows`; 0 runs the frozen modules on
            new windows in every step.
        cache_seed: random seed of the places of these windows.
        joined_share: share of the windows in which short recordings follow one another.
        speeds: lowest and highest speed that windows are played at, see `WindowSource`.
    """

    stack_factors: tuple[int, ...] = (1,)
    is_vocabulary_fixed: bool = False
    acoustic_hidden: int = 0
    acoustic_layers: int = 4
    is_acoustic_bidirectional: bool = True
    is_acoustic_residual: bool = False
    sees_mel: bool = False
    quantizer: QuantizerConfig = VectorQuantizer.Config()
    acoustic_start: int = 0
    is_code_space_fixed: bool = False
    unstacks_condition: bool = False
    unquantized_share: float = 0.0
    position_width: int = 192
    unet: TUNet.Config = TUNet.Config()
    schedule: Schedule.Config = Schedule.Config(kind="cosine")
    is_preconditioned: bool = False
    pads_windows: bool = True
    sampling: SamplingConfig = SamplingConfig()
    timestep_shift: float = 1.0
    condition_dropout: float = 0.1
    cached_windows: int = 0
    cache_seed: int = 0
    joined_share: float = 0.0
    speeds: tuple[float, float] = NORMAL_SPEED

    @property
    def rates(self) -> RateConfig:
        """How the codes of every rate are trained."""
        return RateConfig(
            acoustic_start=self.acoustic_start,
            is_code_space_fixed=self.is_code_space_fixed,
            unquantized_share=self.unquantized_share,
        )

    def __post_init__(self) -> None:
        is_several = len(self.stack_factors) > 1
        if is_several and (self.stack_factors[0] != 1 or not self.unstacks_condition):
            raise ConfigError(
                "One T-UNet for several rates sees the patches of K = 1: start stack_factors "
                "with 1 and set unstacks_condition=True."
            )
        if self.sees_mel and not self.is_acoustic_residual:
            raise ConfigError(
                "An acoustic encoder that sees the mel starts at what is untold of it: set "
                "is_acoustic_residual=True."
            )


def complete_config(
    config: CodecStageConfig, modules: FrozenModules, stack_factor: int
) -> CodecConfig:
    """Return the configuration of a codec: the frozen modules', the stage's, and what follows.

    Args:
        config: settings of the training.
        modules: the finished modules that the codec is built on.
        stack_factor: K of the codec's token rate.
    """
    vocab_sizes = tuple(modules.codebooks[stack_factor])
    if config.is_vocabulary_fixed:
        vocab_sizes = (max(vocab_sizes),)
    width = stack_factor * modules.audiomae.config.width
    grid = TokenGrid.from_stack_factor(stack_factor)
    unstacks = stack_factor if config.unstacks_condition else 1
    num_rows = grid.positions_per_window * unstacks
    _, bands = TokenGrid.from_stack_factor(stack_factor // unstacks).block
    _, stacked_bands = grid.block
    acoustic = AcousticEncoder.Config(
        width=width,
        hidden=config.acoustic_hidden or 2 * width,
        num_layers=config.acoustic_layers,
        bidirectional=config.is_acoustic_bidirectional,
        is_residual=config.is_acoustic_residual,
        num_mel_bins=NUM_MEL_BINS if config.sees_mel else 0,
        stack_factor=stack_factor,
        num_bands=modules.audiomae.config.num_bands // stacked_bands,
    )
    condition = Condition.Config(
        width=width // unstacks,
        position_width=config.position_width,
        max_positions=num_rows,
        unstacks=unstacks,
        told=told_of(acoustic, unstacks) if config.sees_mel else None,
    )
    unet = dataclasses.replace(
        config.unet,
        in_channels=modules.vae.config.latent_channels,
        context_width=condition.context_width,
        latent_frames=LATENT_FRAMES,
        latent_bins=LATENT_BINS,
        aligned_grid=(num_rows * bands // NUM_BANDS, NUM_BANDS // bands),
    )
    encoder = Encoder.Config(
        audiomae=modules.audiomae.config,
        stack_factor=stack_factor,
        semantic=SemanticQuantizer.Config(
            width=width,
            vocab_sizes=vocab_sizes,
            domain_entries=modules.domain_entries[stack_factor],
        ),
        acoustic=acoustic,
        quantizer=dataclasses.replace(config.quantizer, width=width),
    )
    decoder = Decoder.Config(
        condition=condition,
        unet=unet,
        schedule=config.schedule,
        preconditioning=_preconditioning(config, modules),
        vae=modules.vae.config,
        vocoder=modules.vocoder.config,
        sampling=config.sampling,
    )
    return CodecConfig(
        token_rate=grid.token_rate,
        encoder=encoder,
        decoder=decoder,
        pads_windows=config.pads_windows,
    )


def told_of(acoustic: AcousticEncoder.Config, unstacks: int) -> ToldEnergies.Config:
    """Return sizes of what a condition tells of the mel by its codes.

    Args:
        acoustic: the acoustic encoder.
        unstacks: patches that the condition takes each position apart into.
    """
    told = acoustic.untold.told
    return dataclasses.replace(
        told,
        width=told.width // unstacks,
        num_streams=2,
        stack_factor=told.stack_factor // unstacks,
        neighbor_width=2 * told.neighbor_width,
    )


def _preconditioning(
    config: CodecStageConfig, modules: FrozenModules
) -> Preconditioning.Config | None:
    if not config.is_preconditioned:
        return None
    channels = modules.vae.config.latent_channels
    return Preconditioning.Config(latent_channels=channels, latent_bins=LATENT_BINS)
