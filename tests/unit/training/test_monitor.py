"""Laws of what a run shows and records."""

import json
import sys

import torch

from semanticodec.training.monitor import Monitor, Sample, colored


def test_an_image_has_time_to_the_right_and_low_bins_below():
    spectrogram = torch.zeros(30, 8)
    spectrogram[20, 1] = 1.0
    image = colored(spectrogram)
    assert image.shape == (3, 8, 30)
    brightest = image.sum(dim=0).argmax().item()
    assert divmod(brightest, 30) == (8 - 1 - 1, 20)
    assert 0.0 <= image.min() <= image.max() <= 1.0


def test_constant_and_infinite_spectrograms_have_an_image():
    assert torch.isfinite(colored(torch.full((4, 4), 3.0))).all()
    assert torch.isfinite(colored(torch.full((4, 4), float("-inf")))).all()


def steps_in(folder):
    lines = (folder / "scalars.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_resume_drops_what_will_be_done_again(tmp_path):
    monitor = Monitor(tmp_path, first_step=0, total_steps=9, show_progress=False)
    for step in (2, 4, 6):
        monitor.scalars(step, {"loss": 1.0 / step})
    monitor.close()
    with open(tmp_path / "scalars.jsonl", "a") as lines:
        lines.write('{"step": 8, "lo')
    monitor = Monitor(tmp_path, first_step=4, total_steps=9, show_progress=False)
    monitor.scalars(5, {"loss": 0.0})
    monitor.close()
    assert steps_in(tmp_path) == [2, 4, 5]


def test_samples_and_sounds_reach_tensorboard(tmp_path):
    monitor = Monitor(tmp_path, first_step=0, total_steps=1, show_progress=False)
    sample = Sample(spectrogram=torch.rand(10, 4), wav=torch.zeros(100))
    monitor.samples(1, {"reconstruction": sample})
    monitor.advance({"loss": float("nan")})
    monitor.close()
    [events] = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"PNG" in content
    assert b"RIFF" in content


def test_without_tensorboard_the_numbers_are_still_recorded(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monitor = Monitor(tmp_path, first_step=0, total_steps=2, show_progress=False)
    monitor.scalars(1, {"loss": 1.0})
    monitor.samples(1, {"reconstruction": Sample(wav=torch.zeros(100))})
    monitor.scalars(2, {"loss": 0.5})
    monitor.close()
    assert steps_in(tmp_path) == [1, 2]
    assert [record.message.count("install") for record in caplog.records] == [1]
