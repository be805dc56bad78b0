"""Laws of the loop, on a stage of a few weights: exact resume, accumulation, groups, bad losses."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from semanticodec.errors import CheckpointError, ConfigError, SemantiCodecError
from semanticodec.training.data import Loader, Rank, draw_batch, randn_per_item
from semanticodec.training.optimizer import OptimizerConfig, learning_rate
from semanticodec.training.stage import Stage, StepOutput
from semanticodec.training.state import load_snapshot, save_snapshot
from semanticodec.training.trainer import TrainConfig, Trainer, computes_bf16

SAMPLES = 16
CONFIG = TrainConfig(
    steps=8,
    batch_size=4,
    precision="float32",
    optimizers={"default": OptimizerConfig(lr=0.05, warmup_steps=2)},
    checkpoint_every=100,
)


class NoiseSource:
    def draw(self, rng):
        return {"wav": rng.random(SAMPLES, dtype=np.float32)}


class ToyStage(Stage):
    """Predicts its own noise; a critic measures it: two groups, dropout and a counting buffer."""

    def __init__(self, width=8):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(SAMPLES, width), nn.Dropout(0.2), nn.Linear(width, SAMPLES)
        )
        self.critic = nn.Linear(SAMPLES, 1)
        self.register_buffer("count", torch.zeros(()))
        self.poison_steps = ()
        self.critic_starts = 0

    def optimizer_groups(self):
        return {
            "generator": [p for p in self.generator.parameters() if p.requires_grad],
            "critic": [p for p in self.critic.parameters() if p.requires_grad],
        }

    def active_groups(self, step):
        return ["generator", "critic"] if step >= self.critic_starts else ["generator"]

    def training_step(self, batch, group):
        trained = {n for n, p in self.named_parameters() if p.requires_grad}
        assert {name.split(".")[0] for name in trained} == {group}
        noise = randn_per_item(batch.generators, (SAMPLES,))
        output = self.generator(batch.wav + noise)
        if group == "critic":
            return StepOutput(loss=(self.critic(output.detach()) - 1).square().mean())
        self.count += 1
        error = (output - batch.wav).square().mean()
        if batch.step in self.poison_steps:
            error = error * float("nan")
        return StepOutput(loss=error + 0.1 * self.critic(output).mean(), scalars={"error": error})

    def export(self, folder):
        self.exported = {n: p.detach().clone() for n, p in self.generator.named_parameters()}
        assert not self.training


def trainer_of(config=CONFIG, **settings):
    torch.manual_seed(0)
    stage = ToyStage()
    for name, value in settings.items():
        setattr(stage, name, value)
    return Trainer(stage, config, device=torch.device("cpu"), rank=Rank())


def batch_of(trainer):
    config = trainer.config
    return draw_batch(NoiseSource(), config.seed, trainer.step, config.batch_size, Rank())


def run(trainer, steps):
    return [trainer.train_step(batch_of(trainer)) for _ in range(steps)]


def test_resume_is_exact(tmp_path):
    whole = trainer_of()
    expected = run(whole, 8)
    first = trainer_of()
    run(first, 3)
    save_snapshot(tmp_path, first.snapshot({}))
    second = trainer_of()
    run(second, 1)
    snapshot = load_snapshot(tmp_path)
    assert snapshot is not None
    second.restore(snapshot)
    assert run(second, 5) == expected[3:]
    for name, tensor in whole.stage.state_dict().items():
        assert torch.equal(tensor, second.stage.state_dict()[name]), name
    for name, tensor in whole.average.averages.items():
        assert torch.equal(tensor, second.average.averages[name]), name


def test_accumulation_changes_memory_not_the_result():
    whole = trainer_of(dataclasses.replace(CONFIG, accumulation=1))
    parts = trainer_of(dataclasses.replace(CONFIG, accumulation=2))
    for trainer in (whole, parts):
        trainer.stage.generator[1].p = 0.0
    for ours, theirs in zip(run(whole, 3), run(parts, 3)):
        assert ours == pytest.approx(theirs, rel=1e-4)
    with pytest.raises(ConfigError, match="equal micro-batches"):
        trainer_of(dataclasses.replace(CONFIG, accumulation=3))


def test_groups_train_in_turn_and_may_start_late():
    trainer = trainer_of(critic_starts=2)
    critic = trainer.stage.critic.weight.detach().clone()
    values = run(trainer, 2)
    assert "loss_critic" not in values[-1]
    assert torch.equal(critic, trainer.stage.critic.weight)
    values = run(trainer, 1)
    assert {"loss_generator", "loss_critic", "error", "lr_critic"} <= set(values[-1])
    assert not torch.equal(critic, trainer.stage.critic.weight)
    assert all(parameter.requires_grad for parameter in trainer.stage.parameters())
    assert set(trainer.average.averages) == {
        f"generator.{name}" for name, _ in trainer.stage.generator.named_parameters()
    }


def test_a_loss_that_is_not_finite_changes_no_weight():
    trainer = trainer_of(poison_steps=(1,))
    run(trainer, 1)
    before = {n: p.detach().clone() for n, p in trainer.stage.generator.named_parameters()}
    average = {n: a.clone() for n, a in trainer.average.averages.items()}
    run(trainer, 1)
    assert trainer.skipped_in_a_row == 1
    for name, parameter in trainer.stage.generator.named_parameters():
        assert torch.equal(before[name], parameter)
    for name, tensor in trainer.average.averages.items():
        assert torch.equal(average[name], tensor)
    run(trainer, 1)
    assert trainer.skipped_in_a_row == 0


def test_endless_bad_losses_are_an_error():
    trainer = trainer_of(poison_steps=range(100))
    with pytest.raises(SemantiCodecError, match="20 steps in a row"):
        run(trainer, 30)


def test_learning_rate_warms_up_and_decays():
    cosine = OptimizerConfig(lr=1.0, warmup_steps=10, final_ratio=0.1)
    rates = [learning_rate(cosine, step, 110) for step in range(111)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    constant = dataclasses.replace(cosine, schedule="constant")
    assert learning_rate(constant, 100, 110) == 1.0


def test_weight_decay_spares_vectors_and_tokens():
    trainer = trainer_of()
    [decayed, spared] = trainer.optimizers["generator"].param_groups
    assert all(p.ndim == 2 for p in decayed["params"])
    assert decayed["weight_decay"] > 0
    assert all(p.ndim == 1 for p in spared["params"])
    assert spared["weight_decay"] == 0


def test_fit_stops_saves_and_finishes():
    trainer = trainer_of(dataclasses.replace(CONFIG, checkpoint_every=3))
    loader = Loader(NoiseSource(), seed=0, batch_size=4, rank=Rank())
    saved = []

    def save():
        saved.append(trainer.step)

    trainer.fit(loader, monitor=None, save=save, should_stop=lambda: trainer.step == 4)
    assert saved == [3, 4]
    trainer.fit(loader, monitor=None, save=save, should_stop=lambda: False)
    assert saved == [3, 4, 6, 8]
    trainer.fit(loader, monitor=None, save=save, should_stop=lambda: False)
    assert saved == [3, 4, 6, 8]


def test_foreign_snapshots_are_refused(tmp_path):
    save_snapshot(tmp_path, trainer_of().snapshot({}))
    snapshot = load_snapshot(tmp_path)
    assert snapshot is not None
    wider = Trainer(ToyStage(width=9), CONFIG, device=torch.device("cpu"), rank=Rank())
    with pytest.raises(CheckpointError, match="does not fit this recipe"):
        wider.restore(snapshot)
    config = dataclasses.replace(CONFIG, averaged_groups=("generator", "critic"))
    with pytest.raises(CheckpointError, match="averages other weights"):
        trainer_of(config).restore(snapshot)


def test_export_sees_the_averages_and_training_the_weights(tmp_path):
    trainer = trainer_of()
    run(trainer, 3)
    weights = {n: p.detach().clone() for n, p in trainer.stage.generator.named_parameters()}
    trainer.export(tmp_path)
    for name, weight in weights.items():
        assert torch.equal(
            trainer.stage.exported[name], trainer.average.averages[f"generator.{name}"]
        )
        assert not torch.equal(trainer.stage.exported[name], weight)
        assert torch.equal(trainer.stage.generator.get_parameter(name), weight)


@pytest.mark.parametrize("is_able", [False, True])
def test_bf16_is_left_to_processors_that_have_it(monkeypatch, is_able):
    able = {"architecture": "x86_64", "avx512_bf16": is_able, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert computes_bf16(torch.device("cpu")) is is_able
    assert computes_bf16(torch.device("cuda"))


def test_every_group_needs_settings():
    config = dataclasses.replace(CONFIG, optimizers={"generator": OptimizerConfig()})
    with pytest.raises(ConfigError, match="'critic'"):
        trainer_of(config)
