"""Labeled sets whose classes can be heard: tones of several pitches, noise of several colors."""

import csv
import json
from pathlib import Path

import numpy as np
import soundfile

PITCHES_HZ = (220, 440, 880, 1760)
COLORS = {"white": 0, "brown": -1, "violet": 1}  # power of the frequency


def tone(pitch_hz: float, seed: int, num_samples: int = 4800) -> np.ndarray:
    """A tone with a second partial, of random level and phase, in faint noise."""
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * (pitch_hz * np.arange(num_samples) / 16_000 + generator.random())
    level = generator.uniform(0.05, 0.5)
    noise = 0.01 * generator.normal(size=num_samples)
    return (level * (np.sin(phase) + 0.3 * np.sin(2 * phase)) + noise).astype(np.float32)


def noise(color: str, seed: int, num_samples: int = 9600) -> np.ndarray:
    """Noise whose spectrum is flat, falls or rises with the frequency, of random level."""
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft(generator.normal(size=num_samples))
    tilt = np.linspace(0.01, 1, len(spectrum)) ** COLORS[color]
    colored = np.fft.irfft(spectrum * tilt, num_samples)
    return (generator.uniform(0.01, 0.2) * colored / colored.std()).astype(np.float32)


def write_pitches(folder: Path, *, num_folds: int = 3, per_class: int = 6) -> Path:
    """Write tones with a labels.csv of folds."""
    folder.mkdir(parents=True)
    rows = []
    for fold in range(num_folds):
        for index in range(per_class * len(PITCHES_HZ)):
            pitch_hz = PITCHES_HZ[index % len(PITCHES_HZ)]
            name = f"{fold}_{index:02}.wav"
            soundfile.write(folder / name, tone(pitch_hz, seed=1000 * fold + index), 16_000)
            rows.append({"path": name, "label": pitch_hz, "fold": fold})
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["path", "label", "fold"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_colors(folder: Path, *, rate_hz: int = 48_000, per_class: int = 8) -> Path:
    """Write noise as a HEAR task with splits, its sounds at one rate."""
    folder.mkdir(parents=True)
    metadata = {
        "task_name": folder.name,
        "embedding_type": "scene",
        "prediction_type": "multiclass",
        "split_mode": "trainvaltest",
        "evaluation": ["top1_acc"],
    }
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    vocabulary = "".join(f"{index},{color}\n" for index, color in enumerate(COLORS))
    (folder / "labelvocabulary.csv").write_text("idx,label\n" + vocabulary)
    for number, split in enumerate(("train", "valid", "test")):
        sounds = folder / str(rate_hz) / split
        sounds.mkdir(parents=True)
        labels = {}
        for index in range(per_class * len(COLORS)):
            color = list(COLORS)[index % len(COLORS)]
            soundfile.write(
                sounds / f"{index}.wav", noise(color, seed=1000 * number + index), rate_hz
            )
            labels[f"{index}.wav"] = [color]
        (folder / f"{split}.json").write_text(json.dumps(labels))
    return folder
