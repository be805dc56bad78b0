"""The one table of official tensor names: each is mapped to a name here or knowingly unused.

The left side of every pair is the release's, the right side this package's. Names that start
with `unused.` are checked like the others and then dropped:

    unused.audiomae_decoder   AudioMAE's masked pre-training half
    unused.unet_average       moving average of the T-UNet; the release samples with the raw weights
    unused.vae_encoder        the VAE's encoder (`official.load_vae_encoder` gives it to training)
    unused.schedule           noise levels that follow from those that are used
    unused.log_variance       a loss weight of training
    unused.average            decay and step count of the moving average
"""

from __future__ import annotations

from collections.abc import Iterable

UNUSED = "unused."
UNUSED_AUDIOMAE_DECODER = "unused.audiomae_decoder."
UNUSED_UNET = "unused.unet_average."
UNUSED_VAE_ENCODER = "unused.vae_encoder."
BOTH = ("weight", "bias")

TRANSFORMER_BLOCK = {
    "norm1": "attention_norm",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.project",
    "norm2": "mlp_norm",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.2",
}
AUDIOMAE_TENSORS = {
    "cls_token": "encoder.audiomae.class_token",
    "pos_embed": "encoder.audiomae.positions",
    "mask_token": "unused.audiomae_decoder.mask_token",
    "decoder_pos_embed": "unused.audiomae_decoder.positions",
}
AUDIOMAE_LAYERS = {
    "patch_embed.proj": "encoder.audiomae.patch_embedding",
    "norm": "encoder.audiomae.norm",
    "decoder_embed": "unused.audiomae_decoder.embedding",
    "decoder_norm": "unused.audiomae_decoder.norm",
    "decoder_pred": "unused.audiomae_decoder.prediction",
}
NUM_AUDIOMAE_BLOCKS = 12
NUM_AUDIOMAE_DECODER_BLOCKS = 8
LSTM_TENSORS = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l")
QUANTIZER_TENSORS = ("initted", "cluster_size", "embed_avg", "embed")

SCHEDULE_TENSORS = ("alphas_cumprod", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod")
UNUSED_SCHEDULE_TENSORS = (
    "betas",
    "alphas_cumprod_prev",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)
DECODER_TENSORS = {
    "scale_factor": "decoder.latent_scale",
    "logvar": "unused.log_variance",
    "model_ema.decay": "unused.average.decay",
    "model_ema.num_updates": "unused.average.num_updates",
}

UNET_LAYERS = {
    "time_embed.0": "embed_timestep.0",
    "time_embed.2": "embed_timestep.2",
    "input_blocks.0.0": "input_conv",
    "input_blocks.3.0.op": "down_levels.0.downsample.conv",
    "input_blocks.6.0.op": "down_levels.1.downsample.conv",
    "input_blocks.9.0.op": "down_levels.2.downsample.conv",
    "output_blocks.2.3.conv": "up_levels.0.upsample.conv",
    "output_blocks.5.3.conv": "up_levels.1.upsample.conv",
    "output_blocks.8.3.conv": "up_levels.2.upsample.conv",
    "out.0": "output_norm",
    "out.2": "output_conv",
}
UNET_PLAIN_BLOCKS = {  # a residual block alone
    "input_blocks.1": "down_levels.0.blocks.0",
    "input_blocks.2": "down_levels.0.blocks.1",
    "output_blocks.9": "up_levels.3.blocks.0",
    "output_blocks.10": "up_levels.3.blocks.1",
    "output_blocks.11": "up_levels.3.blocks.2",
}
UNET_ATTENTION_BLOCKS = {  # with a self and a cross transformer behind it
    "input_blocks.4": "down_levels.1.blocks.0",
    "input_blocks.5": "down_levels.1.blocks.1",
    "input_blocks.7": "down_levels.2.blocks.0",
    "input_blocks.8": "down_levels.2.blocks.1",
    "input_blocks.10": "down_levels.3.blocks.0",
    "input_blocks.11": "down_levels.3.blocks.1",
    "middle_block": "middle.first",
    "output_blocks.0": "up_levels.0.blocks.0",
    "output_blocks.1": "up_levels.0.blocks.1",
    "output_blocks.2": "up_levels.0.blocks.2",
    "output_blocks.3": "up_levels.1.blocks.0",
    "output_blocks.4": "up_levels.1.blocks.1",
    "output_blocks.5": "up_levels.1.blocks.2",
    "output_blocks.6": "up_levels.2.blocks.0",
    "output_blocks.7": "up_levels.2.blocks.1",
    "output_blocks.8": "up_levels.2.blocks.2",
}
UNET_LAST_MIDDLE_BLOCK = ("middle_block.3", "middle.last.residual")
# Blocks on the way down whose channels stay: their shortcut has no weights.
UNET_WITHOUT_SHORTCUT = ("input_blocks.1", "input_blocks.2", "input_blocks.5", "input_blocks.8")
UNET_WITHOUT_SHORTCUT += ("input_blocks.11", "middle_block")
UNET_RESIDUAL = {
    "in_layers.0": "norm_in",
    "in_layers.2": "conv_in",
    "emb_layers.1": "embedding",
    "out_layers.0": "norm_out",
    "out_layers.3": "conv_out",
}
UNET_SHORTCUT = {"skip_connection": "skip"}
UNET_TRANSFORMER = {
    "norm": "norm",
    "proj_in": "project_in",
    "transformer_blocks.0.norm1": "block.norm_first",
    "transformer_blocks.0.attn1.to_out.0": "block.first_attention.output",
    "transformer_blocks.0.norm2": "block.norm_second",
    "transformer_blocks.0.attn2.to_out.0": "block.second_attention.output",
    "transformer_blocks.0.norm3": "block.norm_feed_forward",
    "transformer_blocks.0.ff.net.0.proj": "block.feed_forward.expand",
    "transformer_blocks.0.ff.net.2": "block.feed_forward.contract",
    "proj_out": "project_out",
}
UNET_TRANSFORMER_NO_BIAS = {
    "transformer_blocks.0.attn1.to_q": "block.first_attention.query",
    "transformer_blocks.0.attn1.to_k": "block.first_attention.key",
    "transformer_blocks.0.attn1.to_v": "block.first_attention.value",
    "transformer_blocks.0.attn2.to_q": "block.second_attention.query",
    "transformer_blocks.0.attn2.to_k": "block.second_attention.key",
    "transformer_blocks.0.attn2.to_v": "block.second_attention.value",
}

VAE_RESIDUAL = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2"}
VAE_ATTENTION = {
    "norm": "norm",
    "q": "query",
    "k": "key",
    "v": "value",
    "proj_out": "project",
}
VAE_DECODER_LAYERS = {
    "post_quant_conv": "decoder.vae.unpack",
    "decoder.conv_in": "decoder.vae.conv_in",
    "decoder.norm_out": "decoder.vae.norm_out",
    "decoder.conv_out": "decoder.vae.conv_out",
    "decoder.up.1.block.0.nin_shortcut": "decoder.vae.levels.1.0.shortcut",
    "decoder.up.0.block.0.nin_shortcut": "decoder.vae.levels.2.0.shortcut",
    "decoder.up.2.upsample.conv": "decoder.vae.levels.0.3.conv",
    "decoder.up.1.upsample.conv": "decoder.vae.levels.1.3.conv",
}
VAE_ENCODER_LAYERS = {
    "quant_conv": "unused.vae_encoder.moments",
    "encoder.conv_in": "unused.vae_encoder.conv_in",
    "encoder.norm_out": "unused.vae_encoder.norm_out",
    "encoder.conv_out": "unused.vae_encoder.conv_out",
    "encoder.down.1.block.0.nin_shortcut": "unused.vae_encoder.levels.1.0.shortcut",
    "encoder.down.2.block.0.nin_shortcut": "unused.vae_encoder.levels.2.0.shortcut",
    "encoder.down.0.downsample.conv": "unused.vae_encoder.levels.0.2.conv",
    "encoder.down.1.downsample.conv": "unused.vae_encoder.levels.1.2.conv",
}
VOCODER_LAYERS = {"conv_pre": "decoder.vocoder.conv_in", "conv_post": "decoder.vocoder.conv_out"}
NUM_UPSAMPLERS = 5
NUM_KERNELS = 3  # parallel residual units per resolution, numbered through in the release
NUM_DILATIONS = 3

Names = dict[str, str]


def _layers(official: str, ours: str, layers: Names, tensors: Iterable[str] = BOTH) -> Names:
    """Return the names of all tensors of `layers` under a pair of prefixes that end in a dot."""
    return {
        f"{official}{theirs}.{tensor}": f"{ours}{name}.{tensor}"
        for theirs, name in layers.items()
        for tensor in tensors
    }


def encoder_names(num_lstm_layers: int) -> Names:
    """Return official name -> our name for every tensor of `encoder.ckpt`."""
    audiomae = "audiomae.model."
    names = {audiomae + theirs: ours for theirs, ours in AUDIOMAE_TENSORS.items()}
    names |= _layers(audiomae, "", AUDIOMAE_LAYERS)
    stacks = (
        ("blocks", "encoder.audiomae.blocks", NUM_AUDIOMAE_BLOCKS),
        ("decoder_blocks", f"{UNUSED_AUDIOMAE_DECODER}blocks", NUM_AUDIOMAE_DECODER_BLOCKS),
    )
    for theirs, ours, count in stacks:
        for block in range(count):
            prefixes = f"{audiomae}{theirs}.{block}.", f"{ours}.{block}."
            names |= _layers(*prefixes, TRANSFORMER_BLOCK)
    for layer in range(num_lstm_layers):
        for tensor in LSTM_TENSORS:
            for direction in ("", "_reverse"):
                name = f"{tensor}{layer}{direction}"
                names[f"encoder.{name}"] = f"encoder.acoustic.lstm.{name}"
    names["encoder_output_linear.weight"] = "encoder.acoustic.project.weight"
    for tensor in QUANTIZER_TENSORS:
        names[f"quantizer._codebook.{tensor}"] = f"encoder.quantizer.{tensor}"
    return names


def decoder_names() -> Names:
    """Return official name -> our name for every tensor of `decoder.ckpt`."""
    names = dict(DECODER_TENSORS)
    names |= {tensor: f"decoder.schedule.{tensor}" for tensor in SCHEDULE_TENSORS}
    names |= {tensor: f"unused.schedule.{tensor}" for tensor in UNUSED_SCHEDULE_TENSORS}
    for theirs, ours in _unet_names().items():
        names[f"model.diffusion_model.{theirs}"] = f"decoder.unet.{ours}"
        # The moving average drops the dots of the names that it follows.
        names[f"model_ema.diffusion_model{theirs.replace('.', '')}"] = f"{UNUSED_UNET}{ours}"
    first_stage = "first_stage_model."
    names |= _layers(first_stage, "", VAE_DECODER_LAYERS | VAE_ENCODER_LAYERS)
    names |= _vae_half(f"{first_stage}decoder.", "decoder.vae.", "up", (2, 1, 0), 3)
    names |= _vae_half(f"{first_stage}encoder.", UNUSED_VAE_ENCODER, "down", (0, 1, 2), 2)
    return names | _vocoder_names(f"{first_stage}vocoder.")


def _unet_names() -> Names:
    names = _layers("", "", UNET_LAYERS)
    residuals = {f"{theirs}.0": f"{ours}.residual" for theirs, ours in UNET_PLAIN_BLOCKS.items()}
    for block, ours in UNET_ATTENTION_BLOCKS.items():
        residuals[f"{block}.0"] = f"{ours}.residual"
        for place, kind in ((1, "self"), (2, "cross")):
            prefixes = f"{block}.{place}.", f"{ours}.{kind}_transformer."
            names |= _layers(*prefixes, UNET_TRANSFORMER)
            names |= _layers(*prefixes, UNET_TRANSFORMER_NO_BIAS, ("weight",))
    for theirs, ours in residuals.items():
        has_shortcut = theirs.removesuffix(".0") not in UNET_WITHOUT_SHORTCUT
        layers = UNET_RESIDUAL | UNET_SHORTCUT if has_shortcut else UNET_RESIDUAL
        names |= _layers(f"{theirs}.", f"{ours}.", layers)
    theirs, ours = UNET_LAST_MIDDLE_BLOCK
    return names | _layers(f"{theirs}.", f"{ours}.", UNET_RESIDUAL)


def _vae_half(theirs: str, ours: str, way: str, order: tuple[int, ...], num_blocks: int) -> Names:
    """Return the residual blocks and the middle of one half; `order` lists their level numbers."""
    names = _layers(f"{theirs}mid.attn_1.", f"{ours}middle.attention.", VAE_ATTENTION)
    for number in (1, 2):
        prefixes = f"{theirs}mid.block_{number}.", f"{ours}middle.block{number}."
        names |= _layers(*prefixes, VAE_RESIDUAL)
    for level, official_level in enumerate(order):
        for block in range(num_blocks):
            prefixes = (
                f"{theirs}{way}.{official_level}.block.{block}.",
                f"{ours}levels.{level}.{block}.",
            )
            names |= _layers(*prefixes, VAE_RESIDUAL)
    return names


def _vocoder_names(theirs: str) -> Names:
    names = _layers(theirs, "", VOCODER_LAYERS)
    for stage in range(NUM_UPSAMPLERS):
        names |= _layers(theirs, "", {f"ups.{stage}": f"decoder.vocoder.upsamplers.{stage}"})
        for kernel in range(NUM_KERNELS):
            unit = f"decoder.vocoder.residuals.{stage}.{kernel}"
            official_unit = f"resblocks.{stage * NUM_KERNELS + kernel}"
            for dilation in range(NUM_DILATIONS):
                convolutions = {
                    f"{official_unit}.convs1.{dilation}": f"{unit}.dilated.{dilation}",
                    f"{official_unit}.convs2.{dilation}": f"{unit}.plain.{dilation}",
                }
                names |= _layers(theirs, "", convolutions)
    return names
