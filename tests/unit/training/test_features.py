"""Features of windows in training are those that the codec's encoder computes."""

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.audio.fbank import Fbank, window_fbank
from semanticodec.audio.io import read_blocks
from semanticodec.audio.mel import Mel, window_mel
from semanticodec.audio.windows import encode_windows
from semanticodec.checkpoints.trained_module import load_audiomae
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.token_format import WINDOW_SAMPLES, TokenGrid
from semanticodec.training.features import FeatureExtractor, stacked_features
from semanticodec.training.sources import find_entries
from semanticodec.training.stages.codebook import window_starts
from semanticodec.training.windows import READ_SAMPLES, padded_window, read_window
from tiny_modules import export_audiomae


@pytest.fixture(scope="module")
def audiomae(tmp_path_factory):
    return load_audiomae(export_audiomae(tmp_path_factory.mktemp("audiomae")))


def encoder_of(audiomae, stack_factor):
    """Return the encoder of a codec with this AudioMAE."""
    width = stack_factor * audiomae.config.width
    encoder = Encoder(
        Encoder.Config(
            audiomae=audiomae.config,
            stack_factor=stack_factor,
            semantic=SemanticQuantizer.Config(width=width, vocab_sizes=()),
            acoustic=AcousticEncoder.Config(width=width, hidden=1, num_layers=1),
            quantizer=VectorQuantizer.Config(width=width, codebook_size=1),
        )
    )
    encoder.audiomae = audiomae
    return encoder.requires_grad_(False).eval()


def one_recording(folder, num_samples):
    folder.mkdir()
    wav = np.random.default_rng(num_samples).normal(0, 0.1, num_samples)
    # The last part is silence, so that padding does not show by its values.
    wav[num_samples - 500 :] = 0.0
    soundfile.write(folder / "0.wav", wav, 16000)
    [entry] = find_entries((folder,))
    return entry


@pytest.mark.parametrize(
    "num_samples",
    [5000, WINDOW_SAMPLES - 100, WINDOW_SAMPLES, WINDOW_SAMPLES + 100, 2 * WINDOW_SAMPLES + 9000],
)
def test_windows_have_the_features_that_the_codec_computes(audiomae, tmp_path, num_samples):
    entry = one_recording(tmp_path / "set", num_samples)
    extractor, encoder = FeatureExtractor(audiomae), encoder_of(audiomae, 2)
    fbank, mel = Fbank(), Mel()
    ours = [padded_window(read_window(entry, start=start)) for start in window_starts(entry)]
    theirs = list(encode_windows(read_blocks(entry.path)))
    assert [count for _, count in ours] == [window.num_samples for window in theirs]
    for (wav, count), window in zip(ours, theirs):
        patches = extractor(torch.from_numpy(wav)[None], torch.tensor([count]))
        result = stacked_features(patches, 2)
        rows = window_fbank(fbank, window.wav)
        torch.testing.assert_close(result.features, encoder.features(rows), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(result.mel, window_mel(mel, window.wav))
        assert result.num_valid.tolist() == encoder.valid_positions(rows).tolist()
        assert result.num_positions.tolist() == [TokenGrid(50).num_positions(count)]


def test_short_and_whole_windows_share_a_batch(audiomae):
    extractor = FeatureExtractor(audiomae)
    wav = torch.randn(2, READ_SAMPLES, generator=torch.Generator().manual_seed(0))
    wav[0, 40_000:] = 0.0
    num_samples = torch.tensor([40_000, WINDOW_SAMPLES])
    both = extractor(wav, num_samples)
    for item in range(2):
        alone = extractor(wav[item : item + 1], num_samples[item : item + 1])
        torch.testing.assert_close(both.features[item], alone.features[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_features_of_patches_stack_to_those_of_any_rate(audiomae, stack_factor):
    encoder = encoder_of(audiomae, stack_factor)
    wav = torch.randn(4, READ_SAMPLES, generator=torch.Generator().manual_seed(0))
    # Ends that fill a position, a column, or neither.
    num_samples = torch.tensor([WINDOW_SAMPLES, 40_000, 2560, 5121])
    for row, count in zip(wav, num_samples.tolist()):
        row[count:] = 0.0
    extractor, seen = FeatureExtractor(audiomae), []
    # The rows of the filter bank that AudioMAE sees, after the look-ahead of short windows is cut.
    handle = audiomae.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    ours = stacked_features(extractor(wav, num_samples), stack_factor)
    handle.remove()
    grid = TokenGrid.from_stack_factor(stack_factor)
    kept = [grid.num_positions(int(count)) for count in num_samples]
    with torch.no_grad():
        assert torch.equal(ours.features, encoder.features(seen[0]))
    assert torch.equal(ours.num_valid, encoder.valid_positions(seen[0]))
    assert ours.num_positions.tolist() == kept
