"""Codebook use and entropy: how much of its bits a codec's two streams need, per domain.

Counting says the more the longer the recordings are: the perplexity of N codes is at most N, and
entropies that are read off counts come out too small while codes are rare. So every figure stands
beside `num_codes`, and what context is worth is given as a bracket: the plug-in estimate below,
and above it what an adaptive coder, which knows nothing beforehand, would have spent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer

from experiments.figures.style import GRAY, PALETTE, new_figure, tidy
from experiments.results.reader import CODE_USE
from semanticodec.errors import DataError, SemantiCodecError
from semanticodec.evaluation.suites import ALL
from semanticodec.provenance import FORMAT, provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semanticodec import Codes, SemantiCodec
    from semanticodec.evaluation.suites import Clip

STREAMS = ("semantic", "acoustic")
TOTAL_COLOR = "black"
MAX_RANKS = 64  # points of a stored rank-frequency curve
# Weight of the uniform guess in the adaptive coder, in codes per codebook entry, and of the coder
# without context inside the one with context, in codes.
UNIFORM_WEIGHT = 0.5
CONTEXT_WEIGHT = 8.0

Stream = Integer[np.ndarray, " L"]


def measure_code_use(
    codec: SemantiCodec, clips: Iterable[Clip], *, model_name: str, suite_name: str
) -> dict[str, Any]:
    """Encode clips and return the result of kind "code-use".

    Args:
        codec: whose codes are counted.
        clips: consumed one by one, so that a progress bar may stand around them.
        model_name: what reports call the codec.
        suite_name: what reports call the clips.
    Returns:
        JSON values; clips that could not be encoded stand under "failures".
    Raises:
        DataError: no clip could be encoded.
    """
    domains: dict[str, list[Codes]] = {}
    failures = []
    for clip in clips:
        try:
            domains.setdefault(clip.domain, []).append(codec.encode(clip.path))
        except SemantiCodecError as error:
            failures.append({"clip": clip.name, "error": str(error)})
    if not any(domains.values()):
        first = f", first {failures[0]['clip']}: {failures[0]['error']}" if failures else ""
        raise DataError(f"none of the clips of {suite_name} could be encoded{first}")
    if len(domains) > 1:
        domains[ALL] = [codes for group in domains.values() for codes in group]
    return {
        "format": FORMAT,
        "kind": CODE_USE,
        **provenance(),
        "model": {
            "name": model_name,
            "fingerprint": codec.model_fingerprint.hex(),
            "token_rate": codec.token_rate,
            "semantic_vocab_size": codec.semantic_vocab_size,
            "acoustic_vocab_size": codec.acoustic_vocab_size,
            "bits_per_second": codec.bitrate,
        },
        "suite": suite_name,
        "domains": {domain: _domain_use(codes, codec) for domain, codes in domains.items()},
        "failures": failures,
    }


def _domain_use(items: Sequence[Codes], codec: SemantiCodec) -> dict[str, Any]:
    num_bands = codec.format.positions_per_column
    sizes = (codec.semantic_vocab_size, codec.acoustic_vocab_size)
    use: dict[str, Any] = {"num_clips": len(items)}
    for name, size in zip(STREAMS, sizes):
        streams = [getattr(codes, name)[0].numpy() for codes in items]
        use[name] = stream_use(streams, size, num_bands)
    return use


def stream_use(streams: Sequence[Stream], codebook_size: int, num_bands: int) -> dict[str, Any]:
    """Return how one stream of several recordings uses its codebook.

    Args:
        streams: codes of every recording, time-major, in [0, codebook_size).
        codebook_size: K.
        num_bands: positions of one time step; the code one step earlier in the same band is what
            the context figures are conditioned on.
    Returns:
        Entropies in bits per code. `perplexity` is 2 to the entropy, at most min(K, num_codes).
        `adaptive_bits` and `adaptive_bits_given_previous` are what `adaptive_code_length` spends
        without and with context; `rank_counts` are (rank, count) pairs, most frequent first.
    """
    codes = np.concatenate(list(streams))
    counts = np.bincount(codes, minlength=codebook_size)
    ranked = np.sort(counts[counts > 0])[::-1]
    entropy = _entropy(ranked)
    pairs = [pair for stream in streams for pair in _pairs(stream, num_bands)]
    previous = Counter(earlier for earlier, _ in pairs)
    conditional = _entropy(Counter(pairs).values()) - _entropy(previous.values())
    without, given_previous = adaptive_code_length(streams, codebook_size, num_bands)
    return {
        "codebook_size": codebook_size,
        "num_codes": len(codes),
        "used": len(ranked),
        "share_used": len(ranked) / codebook_size,
        "perplexity": 2.0**entropy,
        "nominal_bits": math.log2(codebook_size),
        "entropy_bits": entropy,
        "conditional_entropy_bits": conditional,
        "adaptive_bits": without,
        "adaptive_bits_given_previous": given_previous,
        "rank_counts": _thinned(ranked),
    }


def _pairs(stream: Stream, num_bands: int) -> list[tuple[int, int]]:
    """Return (code, code one time step later in the same band)."""
    return list(zip(stream[:-num_bands].tolist(), stream[num_bands:].tolist()))


def _entropy(counts: Iterable[int] | np.ndarray) -> float:
    values = np.fromiter(counts, dtype=np.float64)
    if not len(values):
        return 0.0
    shares = values / values.sum()
    # 0.0 - x: the entropy of a single code is 0, not -0.
    return 0.0 - float((shares * np.log2(shares)).sum())


def _thinned(ranked: Integer[np.ndarray, " K"]) -> list[list[int]]:
    """Return at most `MAX_RANKS` (rank, count) pairs, evenly spaced in the rank's logarithm."""
    ranks = np.unique(np.round(np.geomspace(1, len(ranked), MAX_RANKS)).astype(int))
    return [[int(rank), int(ranked[rank - 1])] for rank in ranks]


def adaptive_code_length(
    streams: Sequence[Stream], codebook_size: int, num_bands: int
) -> tuple[float, float]:
    """Return the mean bits per code of two adaptive coders that start from a uniform guess.

    Both learn while they go, so nothing is measured on what was learned from: neither can come
    out below what the source needs, save by luck.

    Args: those of `stream_use`.
    Returns:
        Without context, and given the code one time step earlier in the same band.
    """
    seen: Counter[int] = Counter()
    seen_after: dict[int, Counter[int]] = {}
    total, weight = 0, UNIFORM_WEIGHT * codebook_size
    bits = bits_given_previous = 0.0
    for stream in streams:
        codes = stream.tolist()
        for place, code in enumerate(codes):
            guess = (seen[code] + UNIFORM_WEIGHT) / (total + weight)
            informed = guess
            if place >= num_bands:
                after = seen_after.setdefault(codes[place - num_bands], Counter())
                num_after = after.total()
                informed = (after[code] + CONTEXT_WEIGHT * guess) / (num_after + CONTEXT_WEIGHT)
                after[code] += 1
            bits -= math.log2(guess)
            bits_given_previous -= math.log2(informed)
            seen[code] += 1
            total += 1
    return bits / total, bits_given_previous / total


def draw_code_use(result: Mapping[str, Any]) -> Figure:
    """Return the picture of a result of kind "code-use".

    Per stream the rank-frequency curve of every domain, and below it the bits that its codes need
    against the bits that they are stored with.
    """
    model, domains = result["model"], result["domains"]
    figure = new_figure(9.0, 4.4 + 0.45 * len(domains))
    panels: Any = figure.subplots(
        2, len(STREAMS), sharex="row", height_ratios=[3.4, 0.8 + 0.45 * len(domains)]
    )
    figure.suptitle(
        f"Code use of {model['name']} on {result['suite']}: {model['token_rate']} tokens/s, "
        f"{model['bits_per_second'] / 1000:.2f} kbps"
    )
    for column, stream in enumerate(STREAMS):
        uses = {domain: domains[domain][stream] for domain in domains}
        _draw_ranks(panels[0][column], stream, uses)
        _draw_bits(panels[1][column], uses)
    panels[0][0].set_ylabel("Share of all codes")
    panels[0][-1].legend(title="Domain", frameon=False, fontsize="small", title_fontsize="small")
    handles, labels = panels[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_ranks(axes: Axes, stream: str, uses: Mapping[str, Mapping[str, Any]]) -> None:
    tidy(axes)
    for index, (domain, use) in enumerate(uses.items()):
        ranks, counts = np.array(use["rank_counts"]).T
        axes.plot(ranks, counts / use["num_codes"], color=_color(domain, index), label=domain)
    size = next(iter(uses.values()))["codebook_size"]
    axes.axhline(1 / size, color=GRAY, linewidth=1, linestyle=":")
    axes.annotate(
        f"all {size} entries alike",
        (1, 1 / size),
        xytext=(2, 3),
        textcoords="offset points",
        color=GRAY,
        fontsize="small",
    )
    axes.set(xscale="log", yscale="log", xlabel="Rank of the codebook entry")
    axes.set_title(f"{stream.capitalize()} codes", loc="left")


# Key of the result: what the legend calls it, and its marker.
BITS = {
    "entropy_bits": ("entropy of the counts", "o"),
    "adaptive_bits": ("adaptive coder", "s"),
    "conditional_entropy_bits": ("entropy, previous code known", ">"),
    "adaptive_bits_given_previous": ("adaptive coder, previous code known", "<"),
}
BRACKET = ("conditional_entropy_bits", "adaptive_bits_given_previous")


def _draw_bits(axes: Axes, uses: Mapping[str, Mapping[str, Any]]) -> None:
    tidy(axes)
    for row, (domain, use) in enumerate(uses.items()):
        color = _color(domain, row)
        axes.plot([use[key] for key in BRACKET], [row, row], color=color, linewidth=1, alpha=0.5)
        for key, (_, marker) in BITS.items():
            axes.plot(use[key], row, marker, color=color, markersize=6)
        bound = min(use["nominal_bits"], math.log2(use["num_codes"]))
        axes.plot(bound, row, "|", color=color, markersize=14)
    for label, marker in (*BITS.values(), ("most that so many codes can show", "|")):
        size = 14 if marker == "|" else 6
        axes.plot([], [], marker, color=GRAY, markersize=size, label=label)
    nominal = next(iter(uses.values()))["nominal_bits"]
    axes.axvline(nominal, color=GRAY, linestyle=":", label="as stored")
    names = [f"{domain}\n{use['num_codes']} codes" for domain, use in uses.items()]
    axes.set_yticks(range(len(uses)), names, fontsize="small")
    axes.invert_yaxis()
    axes.margins(y=0.25)
    axes.set_xlim(0, None)
    axes.set_xlabel("Bits per code")


def _color(domain: str, index: int) -> str:
    return TOTAL_COLOR if domain == ALL else PALETTE[index % len(PALETTE)]
