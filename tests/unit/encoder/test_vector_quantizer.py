"""Vector quantizer: the release's rule by default, and cures that keep a codebook alive."""

import os
import runpy
import subprocess
import sys

import pytest
import torch

import semanticodec
from semanticodec.encoder.quantizer import count_codes, perplexity
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CodesError, ConfigError

CURES = {
    "code_width": 4,
    "l2_normalize": True,
    "initialize_from_data": True,
    "revival_threshold": 0.1,
    "entropy_weight": 0.1,
}


def quantizer_of(**settings) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(VectorQuantizer.Config(**({"width": 8, "codebook_size": 16} | settings)))


def generators_of(batch: int, step: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 * step + item) for item in range(batch)]


def vectors_of(batch: int, length: int = 12, step: int = 0, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(batch, length, width, generator=generator)


def test_the_buffers_are_the_release_s_four():
    module = quantizer_of(codebook_size=20)
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert shapes == {
        "embed": (20, 8),
        "embed_avg": (20, 8),
        "cluster_size": (20,),
        "initted": (1,),
    }
    assert not list(module.parameters())
    config = VectorQuantizer.Config()
    assert (config.codebook_size, config.width, config.decay) == (8192, 768, 0.9)


@pytest.mark.parametrize(
    "settings", [{}, {"code_width": 3}, {"code_width": 3, "l2_normalize": True}]
)
def test_encode_and_forward_agree_in_evaluation(settings):
    module = quantizer_of(**settings).eval()
    vectors = vectors_of(3)
    output = module(vectors)
    assert torch.equal(output.codes, module.encode(vectors))
    assert torch.equal(output.quantized, module.decode(output.codes))
    assert output.quantized.shape == vectors.shape


def test_codes_come_back_from_their_own_vectors():
    module = quantizer_of().eval()
    codes = torch.arange(16).view(2, 8)
    assert torch.equal(module.encode(module.decode(codes)), codes)


def test_decode_refuses_codes_out_of_range():
    with pytest.raises(CodesError, match="acoustic codes run from 3 to 16"):
        quantizer_of().decode(torch.tensor([[3, 16]]))


def test_commitment_is_the_weighted_mean_square_error_toward_the_codes():
    module = quantizer_of(commitment_weight=0.25).eval()
    vectors = vectors_of(3).requires_grad_()
    output = module(vectors)
    expected = 0.25 * (vectors - module.decode(output.codes)).square().mean()
    torch.testing.assert_close(output.losses["commitment"], expected)
    output.losses["commitment"].backward()
    assert vectors.grad is not None
    assert vectors.grad.abs().max() > 0


def test_training_passes_gradients_straight_through():
    module = quantizer_of().train()
    vectors = vectors_of(2).requires_grad_()
    wanted = torch.randn(2, 12, 8)
    (module(vectors).quantized * wanted).sum().backward()
    torch.testing.assert_close(vectors.grad, wanted)


def test_the_forward_value_in_training_is_the_code_vector():
    module = quantizer_of().train()
    before = module.embed.clone()
    output = module(vectors_of(2))
    torch.testing.assert_close(output.quantized, before[output.codes])


def test_moving_averages_by_hand():
    module = quantizer_of(codebook_size=3, width=1, decay=0.9, smoothing=1e-5).train()
    for buffer in (module.embed, module.embed_avg):
        buffer.copy_(torch.tensor([[0.0], [10.0], [20.0]]))
    module(torch.tensor([[[1.0], [2.0], [9.0], [1.0]]]))
    size = torch.tensor([0.9 + 0.1 * 3, 0.9 + 0.1 * 1, 0.9])
    total = torch.tensor([[0.1 * 4.0], [9.0 + 0.1 * 9], [18.0]])
    torch.testing.assert_close(module.cluster_size, size)
    torch.testing.assert_close(module.embed_avg, total)
    smoothed = (size + 1e-5) / (size.sum() + 3e-5) * size.sum()
    torch.testing.assert_close(module.embed, total / smoothed.unsqueeze(1))


def test_the_codebook_moves_in_training_only():
    for module, moves in ((quantizer_of(**CURES).eval(), False), (quantizer_of(**CURES), True)):
        before = {key: value.clone() for key, value in module.state_dict().items()}
        module(vectors_of(2), generators_of(2))
        after = module.state_dict()
        assert torch.equal(before["embed"], after["embed"]) is not moves
        assert torch.equal(before["initted"], after["initted"]) is not moves


def test_masked_positions_get_codes_but_count_for_nothing():
    mask = torch.arange(12) < torch.tensor([[12], [5]])
    vectors = vectors_of(2)
    garbage = torch.where(mask.unsqueeze(-1), vectors, 100.0)
    outputs, states = [], []
    for given in (vectors, garbage):
        module = quantizer_of(**CURES).train()
        outputs.append(module(given, generators_of(2), mask))
        states.append(module.state_dict())
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    for name in ("commitment", "entropy"):
        assert torch.equal(outputs[0].losses[name], outputs[1].losses[name]), name
    counts = [count_codes(output.codes, mask, 16) for output in outputs]
    assert torch.equal(counts[0], counts[1]) and counts[0].sum() == mask.sum()
    assert outputs[1].codes.shape == (2, 12)


def test_every_item_weighs_the_same_in_the_losses():
    module = quantizer_of().eval()
    mask = torch.arange(12) < torch.tensor([[12], [3]])
    vectors = vectors_of(2)
    both = module(vectors, None, mask).losses["commitment"]
    first, second = (
        module(vectors[item : item + 1], None, mask[item : item + 1]).losses["commitment"]
        for item in range(2)
    )
    torch.testing.assert_close(both, (first + second) / 2)


def test_the_entropy_term_looks_at_valid_positions_only():
    mask = torch.arange(12) < torch.tensor([[3]])
    vectors, losses = vectors_of(1), []
    for given, given_mask in ((vectors, mask), (vectors[:, :3], mask[:, :3])):
        module = quantizer_of(entropy_weight=1.0, entropy_positions=3).train()
        losses.append(module(given, generators_of(1), given_mask).losses["entropy"])
    torch.testing.assert_close(losses[0], losses[1])


def test_a_batch_without_a_valid_position_leaves_finite_numbers():
    module = quantizer_of(**CURES, kmeans_iterations=2).train()
    mask = torch.zeros(2, 12, dtype=torch.bool)
    output = module(vectors_of(2), generators_of(2), mask)
    values = [output.quantized, output.codes, *output.losses.values()]
    assert all(torch.isfinite(value).all() for value in values)
    assert perplexity(count_codes(output.codes, mask, 16)).item() == 1.0
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_perplexity_and_use_count_codes():
    module = quantizer_of().eval()
    one = module(module.decode(torch.zeros(1, 16, dtype=torch.int64)))
    every = module(module.decode(torch.arange(16).view(1, 16)))
    mask = torch.ones(1, 16, dtype=torch.bool)
    counts = [count_codes(output.codes, mask, 16) for output in (one, every)]
    assert perplexity(counts[0]).item() == pytest.approx(1)
    assert perplexity(counts[1]).item() == pytest.approx(16)
    assert [int((count > 0).sum()) for count in counts] == [1, 16]


def test_float32_under_autocast():
    module = quantizer_of(codebook_size=64, code_width=4, l2_normalize=True).eval()
    vectors = vectors_of(4, length=100)
    expected = module(vectors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(vectors)
    assert output.quantized.dtype == torch.float32
    for name in ("codes", "quantized"):
        assert torch.equal(getattr(output, name), getattr(expected, name)), name
    assert torch.equal(output.losses["commitment"], expected.losses["commitment"])


def test_normalized_codes_stay_on_the_unit_sphere():
    module = quantizer_of(**CURES).train()
    for step in range(5):
        module(vectors_of(4, step=step), generators_of(4, step))
    torch.testing.assert_close(module.embed.norm(dim=-1), torch.ones(16))


def test_normalized_codes_ignore_how_long_a_vector_is():
    module = quantizer_of(l2_normalize=True).eval()
    vectors = vectors_of(4)
    one, ten = module(vectors), module(10 * vectors)
    assert torch.equal(one.codes, ten.codes)
    torch.testing.assert_close(one.losses["commitment"], ten.losses["commitment"])


def test_k_means_finds_well_separated_clusters():
    centers = torch.eye(8) * 10
    noise = 0.01 * vectors_of(4, 64)
    vectors = centers[torch.arange(64) % 8] + noise
    # Uniform seeds can leave a cluster without one; revival then moves an idle code there.
    module = quantizer_of(
        codebook_size=16, initialize_from_data=True, revival_threshold=0.1, decay=0.5
    ).train()
    for step in range(5):
        output = module(vectors, generators_of(4, step))
    assert output.losses["commitment"] < 0.01
    assert bool(module.initted)


def test_k_means_lowers_the_error_of_its_seeds():
    losses = []
    for iterations in (0, 10):
        module = quantizer_of(initialize_from_data=True, kmeans_iterations=iterations).train()
        losses.append(module(vectors_of(4, 64), generators_of(4)).losses["commitment"])
    assert losses[1] < 0.9 * losses[0]


def test_fewer_vectors_than_codes_fill_up_over_the_batches():
    module = quantizer_of(codebook_size=64, initialize_from_data=True, revival_threshold=0.5)
    random_start = module.embed.clone()
    for step in range(12):
        module.train()(5 * vectors_of(1, 12, step), generators_of(1, step))
    assert (module.embed != random_start).any(dim=1).all()
    # The vectors are some 14 long, the random start is about 1: every code has left it.
    assert module.embed.norm(dim=1).min() > 2


def test_dead_codes_move_to_vectors_of_the_batch():
    module = quantizer_of(revival_threshold=0.2, decay=0.9).train()
    module.embed[8:] = 1000.0
    module.embed_avg[8:] = 1000.0
    module.cluster_size[8:] = 1e-3
    vectors = vectors_of(2)
    module(vectors, generators_of(2))
    rows = vectors.flatten(0, 1)
    for code in module.embed[8:]:
        assert (rows == code).all(dim=-1).any()
    assert (module.cluster_size[8:] > 0.2 * module.cluster_size.mean()).all()
    assert len(module.embed[8:].unique(dim=0)) == 8


def test_dead_codes_never_move_to_padding():
    module = quantizer_of(revival_threshold=0.2).train()
    module.embed[4:] = module.embed_avg[4:] = 1000.0
    module.cluster_size[4:] = 1e-3
    mask = torch.arange(12) < torch.tensor([[2], [3]])
    # Far from every code, padding would be the likeliest choice.
    module(torch.where(mask.unsqueeze(-1), vectors_of(2), 50.0), generators_of(2), mask)
    moved = module.embed[4:].abs().amax(dim=1)
    assert (moved < 10).sum() == 5  # as many as there are valid positions
    assert (moved > 900).sum() == 7


def test_without_revival_dead_codes_stay():
    module = quantizer_of().train()
    module.embed[8:] = module.embed_avg[8:] = 1000.0
    module(vectors_of(2))
    torch.testing.assert_close(module.embed[8:], torch.full((8, 8), 1000.0), rtol=1e-3, atol=0)


def test_an_unused_code_does_not_drift_to_zero():
    module = quantizer_of(decay=0.5).train()
    module.embed[15] = module.embed_avg[15] = 30.0
    for step in range(200):
        module(vectors_of(1, step=step))
    torch.testing.assert_close(module.embed[15], torch.full((8,), 30.0), rtol=0.5, atol=0)


def test_the_entropy_term_rewards_sure_and_varied_codes():
    module = quantizer_of(entropy_weight=1.0, entropy_temperature=0.1).train()
    module.embed.copy_(torch.cat([torch.eye(8), -torch.eye(8)]))
    losses = {}
    for name, codes in (("varied", torch.arange(16)), ("collapsed", torch.zeros(16).long())):
        vectors = module.embed[codes].clone().unsqueeze(0).requires_grad_()
        state = {key: value.clone() for key, value in module.state_dict().items()}
        loss = module(vectors, generators_of(1)).losses["entropy"]
        module.load_state_dict(state)
        loss.backward()
        assert torch.isfinite(vectors.grad).all()
        losses[name] = loss.item()
    assert losses["varied"] == pytest.approx(-1, abs=1e-3)
    assert losses["collapsed"] == pytest.approx(0, abs=1e-3)


def test_the_entropy_term_survives_far_away_vectors():
    module = quantizer_of(entropy_weight=1.0, entropy_temperature=1e-3).train()
    vectors = (100 * vectors_of(2)).requires_grad_()
    module(vectors, generators_of(2)).losses["entropy"].backward()
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize("generators", [None, generators_of(1)])
def test_random_choices_need_a_generator_per_item(generators):
    with pytest.raises(ValueError, match="it needs 2 generators, one per item"):
        quantizer_of(revival_threshold=0.1).train()(vectors_of(2), generators)


def test_a_codebook_starts_as_k_means_of_given_vectors():
    torch.manual_seed(0)
    centers = 10 * torch.randn(16, 8)
    rows = centers.repeat(20, 1) + 0.01 * torch.randn(320, 8)
    module = quantizer_of(codebook_size=16, initialize_from_data=True).eval()
    module.start_from(rows, torch.Generator().manual_seed(0))
    # Seeds are chosen at random: some clusters share one, none lies between all.
    nearest = torch.cdist(module.embed, centers).min(dim=1).values
    assert (nearest < 0.1).float().mean() > 0.3
    assert bool(module.initted) and module.cluster_size.mean().item() == pytest.approx(1.0)
    torch.testing.assert_close(module.embed_avg, module.embed * module.cluster_size[:, None])
    embed = module.embed.clone()
    module.train()(rows.view(4, 80, 8), generators_of(4, 0))
    assert (module.embed - embed).norm() < embed.norm()


def test_a_decay_of_one_is_refused():
    with pytest.raises(ConfigError, match="decay of 1"):
        quantizer_of(decay=1.0)


def test_training_resumes_exactly_from_the_state_dict():
    straight = quantizer_of(**CURES).train()
    resumed = quantizer_of(**CURES).train()
    for step in range(6):
        if step == 3:
            resumed.load_state_dict(straight.state_dict())
        outputs = [
            module(vectors_of(2, step=step), generators_of(2, step))
            for module in ((straight, resumed) if step >= 3 else (straight,))
        ]
        assert torch.equal(outputs[0].quantized, outputs[-1].quantized)
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_the_cures_keep_more_codes_alive_than_the_plain_rule():
    torch.manual_seed(0)
    # A low-dimensional, off-center cloud: what an untrained encoder emits.
    cloud = 3 + 0.05 * torch.randn(2000, 2) @ torch.randn(2, 8)
    found = {}
    for name, settings in (("plain", {}), ("cured", CURES | {"entropy_weight": 0.0})):
        module = quantizer_of(codebook_size=64, **settings).train()
        for step in range(30):
            rows = torch.randint(2000, (4, 64), generator=torch.Generator().manual_seed(step))
            output = module(cloud[rows], generators_of(4, step))
        counts = count_codes(output.codes, torch.ones_like(output.codes, dtype=torch.bool), 64)
        found[name] = perplexity(counts).item()
    assert found["plain"] < 5
    assert found["cured"] > 40


TWO_PROCESSES = """
import sys, torch, torch.distributed as dist
from semanticodec.encoder.quantizer import count_codes, perplexity
from semanticodec.encoder.vector_quantizer import VectorQuantizer

rank, world, init, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    dist.init_process_group("gloo", init_method="file://" + init, rank=rank, world_size=world)
torch.manual_seed(0)
module = VectorQuantizer(VectorQuantizer.Config(width=8, codebook_size=16, code_width=4,
    l2_normalize=True, initialize_from_data=True, revival_threshold=0.3, entropy_weight=0.1))
module.train()
mine = slice(rank * 4 // world, (rank + 1) * 4 // world)
scalars, gradients = [], []
for step in range(4):
    vectors = torch.randn(4, 12, 8, generator=torch.Generator().manual_seed(step))
    mask = torch.arange(12) < torch.tensor([[12], [7], [3], [12]])
    generators = [torch.Generator().manual_seed(100 * step + item) for item in range(4)]
    output = module(vectors[mine], generators[mine], mask[mine])
    module.zero_grad()
    (sum(output.losses.values()) + output.quantized.square().mean()).backward()
    local = torch.stack([output.losses["commitment"], output.losses["entropy"]]).detach()
    gradient = module.project_in.weight.grad.clone()
    for tensor in (local, gradient):
        if world > 1:
            dist.all_reduce(tensor)
            tensor /= world
    counts = count_codes(output.codes, mask[mine], 16)
    scalars.append(torch.cat([local, torch.stack([perplexity(counts), (counts > 0).sum()])]))
    gradients.append(gradient)
if world > 1:
    module.eval()
    if rank == 0:  # alone: an evaluation must not wait for the other process
        module(vectors[:1])
    dist.destroy_process_group()
state = {key: value for key, value in module.state_dict().items()}
torch.save({"state": state, "scalars": scalars, "gradients": gradients}, f"{out}.{rank}.{world}")
"""


def test_two_processes_do_what_one_does_with_both_batches(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    source = os.path.dirname(os.path.dirname(semanticodec.__file__))
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}

    def arguments(rank: int, world: int) -> list[str]:
        return [str(script), str(rank), str(world), str(tmp_path / "init"), str(tmp_path / "of")]

    processes = [
        subprocess.Popen([sys.executable, *arguments(rank, 2)], env=environment)
        for rank in range(2)
    ]
    monkeypatch.setattr(sys, "argv", arguments(0, 1))
    runpy.run_path(str(script))
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    alone, first, second = (
        torch.load(tmp_path / name, weights_only=True) for name in ("of.0.1", "of.0.2", "of.1.2")
    )
    for key, value in first["state"].items():
        assert torch.equal(value, second["state"][key]), key
        torch.testing.assert_close(value, alone["state"][key], msg=key)
    torch.testing.assert_close(first["scalars"], alone["scalars"])
    torch.testing.assert_close(first["gradients"], alone["gradients"])


def test_vectors_that_are_not_finite_leave_the_codebook_alone():
    module = quantizer_of(**CURES, decay=0.9).train()
    module(vectors_of(2), generators_of(2))
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    broken = vectors_of(2, step=1)
    broken[0, 0, 0] = torch.nan
    module(broken, generators_of(2, 1))
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    module(vectors_of(2, step=2), generators_of(2, 2))
    assert module.embed.isfinite().all()
