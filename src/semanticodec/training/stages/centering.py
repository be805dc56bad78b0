"""What AudioMAE's features have on average at every position, to be left out of them.

recordings -> windows, evenly spread -> AudioMAE -> mean of each of the 512 positions
    -> the same AudioMAE with these means

Half of the variance of features is their position, which the decoder knows: k-means of features as
they are spends codes on it (docs/log.md, "Semantic codes tell where they stand").
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.checkpoints.trained_module import export_module, load_audiomae
from semanticodec.config import config_to_dict
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.errors import ConfigError, DataError
from semanticodec.progress import ProgressBar
from semanticodec.token_format import WINDOW_SAMPLES
from semanticodec.training import distributed
from semanticodec.training.data import CropConfig
from semanticodec.training.features import FeatureExtractor
from semanticodec.training.state import finish_export, make_run_folder
from semanticodec.training.train import RunOptions
from semanticodec.training.windows import WindowSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class CenteringRecipe:
    """A run that averages instead of descending gradients.

    Attributes:
        name: name in the export.
        num_windows: windows whose features are averaged, evenly spread over the audio.
        joined_share: share of the windows in which short recordings follow one another, so that
            late positions are seen, too.
    """

    name: str
    num_windows: int = 1000
    joined_share: float = 1.0

    def run(self, options: RunOptions) -> Path | None:
        """Average and export.

        Returns:
            The folder of the export.
        Raises:
            ConfigError: AudioMAE is missing, or its features are centered already.
            DataError: some position is in no window.
        """
        if set(options.modules) != {"audiomae"}:
            raise ConfigError(
                "Centering needs the module audiomae and no other, but got "
                f"{', '.join(options.modules) or 'none'}; add --module audiomae=RUN/export."
            )
        audiomae = load_audiomae(options.modules["audiomae"])
        if audiomae.config.centers_positions:
            raise ConfigError(
                f"The features of {options.modules['audiomae']} are centered already. Give the "
                "export of another recipe of `semanticodec train audiomae`."
            )
        make_run_folder(options.out)
        if options.num_threads is not None:
            torch.set_num_threads(options.num_threads)
        device = distributed.local_device(options.device)
        source = WindowSource.find(options.data, CropConfig()).varied(self.joined_share)
        means = self._means(FeatureExtractor(audiomae).to(device), source, options.show_progress)
        centered = _with_means(audiomae, means)
        export = options.out / "export"
        export_module(
            export,
            name="audiomae",
            config=config_to_dict(centered.config),
            weights=centered.state_dict(),
        )
        finish_export(export, dataclasses.asdict(self), half=options.is_half)
        return export

    @torch.no_grad()
    def _means(
        self, extractor: FeatureExtractor, source: WindowSource, show_progress: bool
    ) -> Float[Tensor, "L D"]:
        config, device = extractor.audiomae.config, extractor.audiomae.positions.device
        total = torch.zeros(config.num_patches, config.width, dtype=torch.float64, device=device)
        count = torch.zeros(config.num_patches, dtype=torch.float64, device=device)
        numbers = range(self.num_windows)
        for number in ProgressBar(numbers, label="features", unit="window", shown=show_progress):
            window = source.window((number + 0.5) / self.num_windows, np.random.default_rng(number))
            inputs = {name: torch.from_numpy(value)[None] for name, value in window.items()}
            found = extractor(inputs["wav"].to(device), inputs["num_samples"].to(device))
            num_valid = int(found.num_valid)
            total[:num_valid] += found.features[0, :num_valid]
            count[:num_valid] += 1
        if not count.all():
            raise DataError(
                f"None of {self.num_windows} windows reaches {WINDOW_SAMPLES} samples; give more "
                "audio, or longer recordings."
            )
        return (total / count.unsqueeze(1)).float().cpu()


def _with_means(audiomae: AudioMAE, means: Float[Tensor, "L D"]) -> AudioMAE:
    centered = AudioMAE(dataclasses.replace(audiomae.config, centers_positions=True))
    centered.load_state_dict({**audiomae.state_dict(), "position_means": means})
    return centered
