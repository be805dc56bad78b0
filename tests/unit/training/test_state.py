"""Laws of run folders: what is written comes back, whole or not at all, and never by pickle."""

import pytest
import torch
from safetensors import SafetensorError
from torch.nn import Linear

from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.training import state
from semanticodec.training.state import (
    Snapshot,
    load_snapshot,
    make_run_folder,
    optimizer_tensors,
    restore_optimizers,
    save_snapshot,
)


def snapshot_of(step):
    return Snapshot(
        step=step,
        weights={"layer.weight": torch.full((2, 3), float(step)), "count": torch.tensor(step)},
        averages={"layer.weight": torch.ones(2, 3)},
        optimizer={"all/layer.weight/exp_avg": torch.zeros(2, 3)},
        description={"recipe": "test", "nested": {"sizes": [1, 2]}},
    )


def test_snapshot_round_trip(tmp_path):
    save_snapshot(tmp_path, snapshot_of(7))
    loaded = load_snapshot(tmp_path)
    assert loaded is not None
    assert loaded.step == 7
    assert loaded.description == {"recipe": "test", "nested": {"sizes": [1, 2]}}
    for part in ("weights", "averages", "optimizer"):
        expected, found = getattr(snapshot_of(7), part), getattr(loaded, part)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_tied_and_strided_tensors_are_stored(tmp_path):
    shared = torch.arange(6.0).view(2, 3)
    snapshot = Snapshot(
        step=1, weights={"a": shared, "b": shared.T}, averages={}, optimizer={}, description={}
    )
    save_snapshot(tmp_path, snapshot)
    loaded = load_snapshot(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded.weights["b"], shared.T)


def test_last_two_checkpoints_stay_and_no_partial_files(tmp_path):
    for step in (5, 10, 15):
        save_snapshot(tmp_path, snapshot_of(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["latest.json", "step_00000010", "step_00000015"]


def test_interrupted_save_leaves_the_last_checkpoint_valid(tmp_path, monkeypatch):
    save_snapshot(tmp_path, snapshot_of(5))

    def fail(path, content):
        raise OSError("disk full")

    monkeypatch.setattr("semanticodec.training.state.write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        save_snapshot(tmp_path, snapshot_of(10))
    monkeypatch.undo()
    loaded = load_snapshot(tmp_path)
    assert loaded is not None
    assert loaded.step == 5
    save_snapshot(tmp_path, snapshot_of(10))
    again = load_snapshot(tmp_path)
    assert again is not None
    assert again.step == 10


def test_the_same_step_can_be_saved_again(tmp_path):
    save_snapshot(tmp_path, snapshot_of(5))
    save_snapshot(tmp_path, snapshot_of(5))
    assert load_snapshot(tmp_path) is not None


def test_damage_is_one_clear_error(tmp_path):
    assert load_snapshot(tmp_path) is None
    checkpoint = save_snapshot(tmp_path, snapshot_of(5))
    weights = checkpoint / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_snapshot(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"latest\.json"):
        load_snapshot(tmp_path)


def test_optimizer_state_round_trip_by_name():
    torch.manual_seed(0)

    def trained(steps):
        torch.manual_seed(1)
        layer = Linear(3, 2)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
        for _ in range(steps):
            optimizer.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
        return layer, optimizer

    def names(layer):
        return {parameter: name for name, parameter in layer.named_parameters()}

    layer, optimizer = trained(3)
    tensors = optimizer_tensors({"all": optimizer}, names(layer))
    assert "all/weight/exp_avg" in tensors
    other, restored = trained(1)
    restore_optimizers(tensors, {"all": restored}, names(other))
    for ours, theirs in zip(layer.parameters(), other.parameters()):
        for slot, value in optimizer.state[ours].items():
            assert torch.equal(value, restored.state[theirs][slot])
    with pytest.raises(CheckpointError, match="does not train"):
        restore_optimizers({"all/gone/step": torch.ones(1)}, {"all": restored}, names(other))


@pytest.mark.parametrize("error", [SafetensorError("No space left"), OSError(28, "No space left")])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, error):
    save_snapshot(tmp_path, snapshot_of(1))

    def full(*arguments, **options):
        raise error

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(OSError, match=r"step 2 cannot be written .*No space left.*resumes"):
        save_snapshot(tmp_path, snapshot_of(2))
    assert load_snapshot(tmp_path).step == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest.json", "step_00000001"]


def test_a_run_folder_that_takes_no_files_is_refused(tmp_path):
    make_run_folder(tmp_path / "deep" / "run")
    assert not list((tmp_path / "deep" / "run").iterdir())
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match="cannot be the folder of a run .* another --output"):
            make_run_folder(folder)
