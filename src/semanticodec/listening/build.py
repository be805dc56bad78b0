"""Makes a test folder: clips of a suite, as systems and anchors render them, at one loudness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.audio.io import save_audio
from semanticodec.errors import ConfigError, DataError, OutputExistsError, SemantiCodecError
from semanticodec.evaluation import systems
from semanticodec.evaluation.scoring import one_line, read_clip
from semanticodec.evaluation.suites import Clip, Suite
from semanticodec.evaluation.systems import System
from semanticodec.files import atomic_folder
from semanticodec.listening.anchors import ANCHORS_HZ, LOW, MID, low_passed
from semanticodec.listening.loudness import aligned
from semanticodec.listening.plan import (
    ABX,
    ANCHOR,
    MAX_CONDITIONS,
    MUSHRA,
    NUM_COMPARED,
    PLAN_NAME,
    REFERENCE,
    SYSTEM,
    Condition,
    Page,
    Plan,
    sound_name,
    write_plan,
)
from semanticodec.listening.storage import RATINGS_NAME
from semanticodec.progress import ProgressBar
from semanticodec.token_format import SAMPLE_RATE

REFERENCE_NAME = "reference"
FADE_S = 0.01  # at both ends: a loop must not click

OpenSystem = Callable[[str], System]


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What a test is made of.

    Attributes:
        title: what listeners and reports call it.
        mode: "mushra" or "abx".
        anchors: names from `ANCHORS_HZ`; none in "abx".
        num_clips: clips of each domain, drawn at random; None: all.
        training_clip: name of the clip of the training page; None: one that is not drawn, or the
            first where all are.
        max_duration_s: clips are cut to so many seconds; the recommendation says about 10, 12 at
            most.
        repeats: pages for each clip; more than one only in "abx".
        seed: random seed of clips and orders.
    """

    title: str = "Listening test"
    mode: str = MUSHRA
    anchors: tuple[str, ...] = (LOW, MID)
    num_clips: int | None = None
    training_clip: str | None = None
    max_duration_s: float = 10.0
    repeats: int = 1
    seed: int = 0


def build(
    suite: Suite,
    specs: Sequence[str],
    out: Path,
    settings: BuildSettings,
    *,
    open_system: OpenSystem = systems.open_system,
    overwrite: bool = False,
    show_progress: bool = False,
) -> Plan:
    """Write a test folder and return its plan.

    Args:
        suite: the clips.
        specs: the systems, as `open_system` takes them; in "abx" two.
        out: folder of the test; it appears when it is whole.
        settings: what the test is made of.
        open_system: opens a spec.
        overwrite: whether to replace a test that nobody has rated yet.
        show_progress: whether to draw a bar.
    Raises:
        ConfigError: systems that do not exist, share a name, or are too many or too few.
        DataError: a clip or what a system makes of it cannot be used.
        OutputExistsError: the folder is taken.
    """
    _check_free(out, overwrite)
    opened = [open_system(spec) for spec in specs]
    conditions = _conditions(opened, settings)
    training, clips = _chosen(suite, settings)
    pages = [training, *(clip for clip in clips for _ in range(settings.repeats))]
    rendered: dict[str, int] = {}
    bits: Counter[str] = Counter()
    seconds = 0.0
    written: list[Page] = []
    with atomic_folder(out) as folder:
        for clip in ProgressBar(pages, unit="page", shown=show_progress):
            first = rendered.setdefault(clip.name, len(written))
            if first < len(written):
                repeats = sum(page.clip == clip.name for page in written[1:])
                written.append(replace(written[first], repeat=repeats))
                continue
            wavs, spent, duration_s = _rendered(clip, opened, settings)
            sounds = {name: f"audio/{len(written):04}/{sound_name(name)}.wav" for name in wavs}
            (folder / "audio" / f"{len(written):04}").mkdir(parents=True)
            for name, wav in wavs.items():
                save_audio(folder / sounds[name], torch.from_numpy(wav))
            bits.update(spent)
            seconds += duration_s
            written.append(Page(clip=clip.name, domain=clip.domain, sounds=sounds))
        plan = Plan(
            title=settings.title,
            mode=settings.mode,
            seed=settings.seed,
            duration_s=settings.max_duration_s,
            conditions=tuple(_with_rate(condition, bits, seconds) for condition in conditions),
            pages=tuple(written),
        )
        write_plan(folder, plan)
    return plan


def _check_free(out: Path, overwrite: bool) -> None:
    """Refuse to replace ratings, a folder of something else, or a test without being asked to."""
    if (out / RATINGS_NAME).exists():
        raise OutputExistsError(f"{out} holds ratings of listeners; give another --output")
    if out.is_dir() and any(out.iterdir()):
        if not (out / PLAN_NAME).is_file():
            raise OutputExistsError(f"{out} holds something else; give another --output")
        if not overwrite:
            raise OutputExistsError(
                f"{out} holds a test already; give another --output, or --overwrite"
            )


def _conditions(opened: Sequence[System], settings: BuildSettings) -> list[Condition]:
    found = [Condition(name=item.name, role=SYSTEM, spec=item.spec) for item in opened]
    if settings.mode == ABX:
        if len(found) != NUM_COMPARED:
            raise ConfigError(f"ABX compares {NUM_COMPARED} systems, not {len(found)}")
    else:
        anchors = [Condition(name=name, role=ANCHOR) for name in settings.anchors]
        found = [Condition(name=REFERENCE_NAME, role=REFERENCE), *anchors, *found]
    if len(found) > MAX_CONDITIONS:
        raise ConfigError(
            f"{len(found)} sounds on a page are too many to compare, {MAX_CONDITIONS} are allowed "
            f"with the hidden reference and the anchors; leave {len(found) - MAX_CONDITIONS} out"
        )
    if len({sound_name(condition.name) for condition in found}) != len(found):
        raise ConfigError(
            f"two of {', '.join(condition.name for condition in found)} share a name; give each "
            "system its own with name=LABEL"
        )
    return found


def _chosen(suite: Suite, settings: BuildSettings) -> tuple[Clip, list[Clip]]:
    """Return the training clip and those that count, in the order of the suite."""
    named = {clip.name: clip for clip in suite.clips}
    if settings.training_clip is not None and settings.training_clip not in named:
        raise ConfigError(
            f"the suite has no clip '{settings.training_clip}' to train with; it has, for "
            f"instance, {next(iter(named))}"
        )
    rng = np.random.default_rng(settings.seed)
    drawn: list[Clip] = []
    left: list[Clip] = []
    for domain in suite.domains:
        clips = [
            clip
            for clip in suite.clips
            if clip.domain == domain and clip.name != settings.training_clip
        ]
        order = rng.permutation(len(clips))
        limit = len(clips) if settings.num_clips is None else settings.num_clips
        drawn += [clips[index] for index in sorted(order[:limit])]
        left += [clips[index] for index in order[limit:]]
    if not drawn:
        raise DataError(f"the suite {suite.name} has one clip; training and test need two")
    if settings.training_clip is not None:
        return named[settings.training_clip], drawn
    return (left or drawn)[0], drawn


def _rendered(
    clip: Clip, opened: Sequence[System], settings: BuildSettings
) -> tuple[dict[str, Float[np.ndarray, " S"]], dict[str, int], float]:
    """Return the sounds of a page by condition, the bits of systems, and the clip's seconds."""
    wav = read_clip(clip)
    num_samples = round(settings.max_duration_s * SAMPLE_RATE)
    reference = _cut(wav, num_samples)
    sounds: dict[str, np.ndarray] = {}
    if settings.mode == MUSHRA:
        sounds[REFERENCE_NAME] = reference
        for name in settings.anchors:
            sounds[name] = low_passed(reference, ANCHORS_HZ[name])
    spent: dict[str, int] = {}
    for system in opened:
        try:
            made = system.reconstruct(wav, clip)
        except SemantiCodecError as error:
            raise DataError(f"{system.name} fails on {clip.name}: {one_line(error)}") from error
        sounds[system.name] = _cut(made.wav, num_samples)
        if made.num_bits is not None:
            spent[system.name] = made.num_bits
    try:
        return aligned(sounds), spent, len(wav) / SAMPLE_RATE
    except DataError as error:
        raise DataError(f"{clip.name}: {error}") from error


def _cut(wav: Float[np.ndarray, " S"], num_samples: int) -> Float[np.ndarray, " S2"]:
    """Return the beginning, faded at both ends."""
    cut = wav[:num_samples].copy()
    length = min(round(FADE_S * SAMPLE_RATE), len(cut) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
    cut[:length] *= ramp
    cut[len(cut) - length :] *= ramp[::-1]
    return cut


def _with_rate(condition: Condition, bits: Counter[str], seconds: float) -> Condition:
    if condition.name not in bits:
        return condition
    return replace(condition, kbps=round(bits[condition.name] / seconds / 1000, 3))
