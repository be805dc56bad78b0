"""The figures that the paper prints in its Tables II to VII, as data (arXiv 2405.00233v2).

MEL and STFT of the paper are on another scale than this package's (see `metrics`): compare ranks,
not values. Its ViSQOL compares with `visqol_speech`. WER, accuracies and averages are in percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DOMAINS = ("general", "music", "speech")
TASKS = ("ESC-50", "NSPitch", "SPC", "LbCount", "CRM-D", "VoImit")


@dataclass(frozen=True, kw_only=True)
class Distances:
    """What Table II prints of one system in one domain."""

    mel: float
    stft: float
    visqol: float


@dataclass(frozen=True, kw_only=True)
class ReconstructionRow:
    """One system of Table II.

    Attributes:
        system: name with its bitrate, such as `DAC 1.41 kbps`.
        kbps: kilobits per second; None where the table has a dash.
        tokens_per_s: tokens per second; None where the table has a dash.
        domains: one entry for each of DOMAINS.
        wer: of the speech clips, percent.
        visqol: mean of the domains.
        published: folder of the outputs of this system in the authors' published listening set.
    """

    system: str
    kbps: float | None
    tokens_per_s: float | None
    domains: Mapping[str, Distances]
    wer: float
    visqol: float
    published: str | None = None


@dataclass(frozen=True, kw_only=True)
class SemanticRow:
    """One system of Table III.

    Attributes:
        layers: `unquantized`, `all` or `first`: which of the codec's layers are probed.
        system: name as the table has it.
        kbps: kilobits per second of these layers.
        tokens_per_s: tokens per second of these layers.
        accuracies: percent for each of TASKS.
        average: percent.
    """

    layers: str
    system: str
    kbps: float | None
    tokens_per_s: float | None
    accuracies: Mapping[str, float]
    average: float


@dataclass(frozen=True, kw_only=True)
class VocabularyRow:
    """A stack factor of Table IV: a fixed semantic vocabulary of 32 768 against a variable one."""

    stack_factor: int
    fixed_visqol: float
    fixed_wer: float
    variable_visqol: float
    variable_wer: float


@dataclass(frozen=True, kw_only=True)
class CentroidsRow:
    """A semantic vocabulary of Table V and the mean accuracy of its features."""

    semantic_vocab_size: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class AcousticRow:
    """An acoustic encoder of Table VI."""

    acoustic_vocab_size: int
    is_bidirectional: bool
    visqol: float
    wer: float


@dataclass(frozen=True, kw_only=True)
class LearnableRow:
    """A semantic codebook of Table VII: k-means centroids, or learned with the codec."""

    is_learnable: bool
    visqol: float
    wer: float
    accuracy: float


# MEL, STFT, ViSQOL of general sound | of music | of speech | WER, mean ViSQOL.
# SemantiCodec's lowest rate is printed as 0.36 kbps there and as 0.35 in Table I and the text.
_TABLE_2 = """
Original                           -    -   |0    0    4.99|0    0    4.99|0    0    4.99|2.09 4.99|
SemantiCodec, unquantized AudioMAE -    -   |3.78 3.89 4.58|3.79 3.40 4.56|3.77 3.18 4.71|2.7  4.61|
SemantiCodec, semantic codes only  0.70 50  |7.29 4.93 2.43|7.67 4.44 2.61|8.68 4.58 2.78|55.6 2.61|
DAC 6.00 kbps                      6.00 600 |2.91 3.03 4.36|2.83 2.90 4.54|2.79 2.92 4.71|3.0  4.54|
EnCodec 6.00 kbps                  6.00 600 |4.38 4.10 4.00|4.17 2.90 4.14|4.54 3.19 4.35|3.3  4.16|
EnCodec 3.00 kbps                  3.00 300 |4.84 4.26 3.58|4.67 3.11 3.78|5.06 3.40 4.10|3.7  3.82|
EnCodec 1.50 kbps                  1.50 150 |5.39 4.47 3.04|5.30 3.33 3.27|5.83 3.67 3.67|5.0  3.33|encodec_1.5kbps
HiFi-Codec 2.00 kbps               2.00 200 |4.35 3.61 3.11|4.37 3.11 3.42|3.93 2.99 4.18|3.6  3.57|
DAC 0.47 kbps                      0.47 47  |7.56 4.58 2.12|7.80 4.24 2.33|8.62 4.70 2.73|28.2 2.39|dac_0.47kbps
DAC 0.78 kbps                      0.78 78  |6.73 4.41 2.47|6.44 3.88 2.80|6.76 4.13 3.19|11.6 2.82|
DAC 1.41 kbps                      1.41 141 |6.56 4.78 2.85|6.30 3.72 3.10|6.71 3.91 3.44|5.0  3.13|dac_1.41kbps
SemantiCodec 0.35 kbps             0.35 25  |5.06 4.02 2.84|5.22 3.76 3.18|5.77 3.72 3.49|19.6 3.17|semanticodec_0.35kbps
SemantiCodec 0.70 kbps             0.70 50  |4.67 3.97 3.20|4.74 3.62 3.54|4.95 3.49 3.92|5.1  3.55|semanticodec_0.70kbps
SemantiCodec 1.40 kbps             1.40 100 |4.39 3.79 3.48|4.44 3.56 3.80|4.54 3.38 4.17|3.4  3.81|semanticodec_1.40kbps
"""  # noqa: E501 - a table

# Layers, system, kbps, tokens per second | ESC-50, NSPitch, SPC, LbCount, CRM-D, VoImit | average.
# The last DAC of the first layers is printed as "0.36 k"; the rest of the paper calls it 0.47 kbps.
_TABLE_3 = """
unquantized AudioMAE        -    -   |79.5 82.0 48.0 69.4 67.3 17.4|60.6
all         EnCodec         6.00 600 |40.7 60.8 27.3 45.0 44.2 4.4 |37.1
all         HiFi-Codec      2.00 200 |36.3 71.0 26.5 58.2 45.6 4.3 |40.3
all         DAC             6.00 600 |33.4 56.1 21.0 46.4 39.9 3.4 |33.4
all         DAC             1.41 141 |41.1 80.9 30.3 59.5 44.7 4.8 |43.5
all         DAC             0.78 78  |39.5 78.5 30.3 59.5 45.7 5.0 |43.0
all         DAC             0.47 47  |36.7 75.7 26.4 59.6 44.5 4.9 |41.3
all         SemantiCodec    1.40 100 |63.8 73.3 43.6 67.0 57.9 9.6 |52.5
all         SemantiCodec    0.70 50  |60.9 64.9 41.9 71.6 53.2 9.3 |50.3
all         SemantiCodec    0.35 25  |56.4 61.3 33.7 70.4 46.9 8.0 |46.1
first       EnCodec         0.75 75  |32.0 45.3 23.0 44.8 40.7 4.2 |31.6
first       HiFi-Codec      1.00 100 |33.7 58.9 25.9 58.3 44.3 4.1 |37.5
first       DAC (6.00 kbps) 0.50 50  |23.8 23.3 15.9 43.1 38.4 3.1 |24.6
first       DAC (1.41 kbps) 0.16 16  |29.0 44.2 19.9 57.0 39.5 4.0 |32.3
first       DAC (0.78 kbps) 0.16 16  |27.6 39.9 17.9 56.6 40.9 4.0 |31.1
first       DAC (0.47 kbps) 0.16 16  |29.7 46.9 18.3 58.2 43.0 4.0 |33.3
first       SemantiCodec    0.70 50  |66.6 73.9 42.7 66.7 57.5 11.1|53.1
first       SemantiCodec    0.36 25  |64.4 70.2 36.0 65.0 54.1 10.7|50.1
first       SemantiCodec    0.18 13  |59.6 66.3 30.7 61.3 45.8 9.8 |45.6
"""

# Mean MUSHRA scores that the text states (Figure 3 shows the others without numbers).
MUSHRA = {"Original": 93.9, "SemantiCodec 0.35 kbps": 55.7, "EnCodec 1.50 kbps": 47.8}


def _numbers(cell: str) -> list[float]:
    return [float(number) for number in cell.split()]


def _rate(cell: str) -> float | None:
    return None if cell == "-" else float(cell)


def _reconstruction_row(line: str) -> ReconstructionRow:
    head, *cells, overall, published = line.split("|")
    system, kbps, tokens_per_s = head.rsplit(maxsplit=2)
    domains = {}
    for domain, cell in zip(DOMAINS, cells):
        mel, stft, visqol = _numbers(cell)
        domains[domain] = Distances(mel=mel, stft=stft, visqol=visqol)
    wer, mean_visqol = _numbers(overall)
    return ReconstructionRow(
        system=system,
        kbps=_rate(kbps),
        tokens_per_s=_rate(tokens_per_s),
        domains=domains,
        wer=wer,
        visqol=mean_visqol,
        published=published or None,
    )


def _semantic_row(line: str) -> SemanticRow:
    head, accuracies, average = line.split("|")
    layers_and_system, kbps, tokens_per_s = head.rsplit(maxsplit=2)
    layers, system = layers_and_system.split(maxsplit=1)
    return SemanticRow(
        layers=layers,
        system=system,
        kbps=_rate(kbps),
        tokens_per_s=_rate(tokens_per_s),
        accuracies=dict(zip(TASKS, _numbers(accuracies))),
        average=float(average),
    )


TABLE_2 = tuple(map(_reconstruction_row, _TABLE_2.strip().splitlines()))
TABLE_3 = tuple(map(_semantic_row, _TABLE_3.strip().splitlines()))

TABLE_4 = (
    VocabularyRow(
        stack_factor=1, fixed_visqol=3.78, fixed_wer=3.6, variable_visqol=3.81, variable_wer=3.4
    ),
    VocabularyRow(
        stack_factor=2, fixed_visqol=3.41, fixed_wer=6.3, variable_visqol=3.55, variable_wer=5.1
    ),
    VocabularyRow(
        stack_factor=4, fixed_visqol=3.04, fixed_wer=21.8, variable_visqol=3.17, variable_wer=19.6
    ),
)

TABLE_5 = (
    CentroidsRow(semantic_vocab_size=4096, accuracy=49.0),
    CentroidsRow(semantic_vocab_size=8192, accuracy=50.9),
    CentroidsRow(semantic_vocab_size=16384, accuracy=52.1),
    CentroidsRow(semantic_vocab_size=32768, accuracy=53.1),
)

TABLE_6 = (
    AcousticRow(acoustic_vocab_size=8192, is_bidirectional=True, visqol=3.602, wer=4.57),
    AcousticRow(acoustic_vocab_size=4096, is_bidirectional=True, visqol=3.583, wer=5.05),
    AcousticRow(acoustic_vocab_size=2048, is_bidirectional=True, visqol=3.550, wer=4.66),
    AcousticRow(acoustic_vocab_size=8192, is_bidirectional=False, visqol=3.596, wer=4.80),
)

TABLE_7 = (
    LearnableRow(is_learnable=False, visqol=3.60, wer=4.57, accuracy=53.1),
    LearnableRow(is_learnable=True, visqol=3.57, wer=5.10, accuracy=28.5),
)
