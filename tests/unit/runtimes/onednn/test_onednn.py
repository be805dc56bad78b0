"""The door: layers are replaced in inference alone, and nothing else about a model changes."""

import ast
import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

import semanticodec
from semanticodec import SemantiCodec
from semanticodec.decoder.unet import TUNet
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.runtimes.onednn import FAST, use_onednn
from semanticodec.runtimes.onednn.maps import FirstConv2d

PACKAGE = Path(semanticodec.__file__).parent
UNET = TUNet.Config(
    base_channels=32,
    context_width=32,
    num_groups=8,
    latent_frames=64,
    aligned_condition=True,
    aligned_grid=(16, 8),
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def unet() -> TUNet:
    network = TUNet(UNET)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network.eval()


def inputs() -> tuple[torch.Tensor, ...]:
    return torch.randn(1, 8, 64, 16), torch.tensor([500]), torch.randn(1, 128, 32)


def test_every_fast_class_is_the_layer_that_it_stands_for():
    for layer, fast in FAST.items():
        assert issubclass(fast, layer)
        assert fast not in FAST, "replaced once"


def test_inference_agrees_and_training_is_equal_to_the_bit():
    plain, fast = unet(), use_onednn(unet())
    fast.load_state_dict(plain.state_dict())
    given = inputs()
    with torch.no_grad():
        torch.testing.assert_close(fast(*given), plain(*given), rtol=1e-3, atol=1e-4)
    for network in (plain, fast):
        network(*given).square().sum().backward()
    gradients = zip(plain.parameters(), fast.parameters())
    assert all(torch.equal(ours.grad, theirs.grad) for ours, theirs in gradients)


def test_weights_and_their_names_stay():
    plain = unet()
    before = plain.state_dict()
    after = use_onednn(plain).state_dict()
    assert list(before) == list(after)
    assert all(before[name].data_ptr() == after[name].data_ptr() for name in before)


def test_the_door_opens_once():
    fast = use_onednn(unet())
    classes = [type(module) for module in fast.modules()]
    assert [type(module) for module in use_onednn(fast).modules()] == classes


def test_maps_of_a_quantizer_and_of_a_layout_stay_torch_s():
    quantizer = use_onednn(VectorQuantizer(VectorQuantizer.Config(width=8, code_width=4)))
    assert type(quantizer.project_in) is type(quantizer.project_out) is nn.Linear
    assert type(use_onednn(unet()).aligned[0].projection) is nn.Linear


def test_every_codec_has_the_fast_layers(tiny_codec: SemantiCodec):
    kinds = {type(module) for module in tiny_codec.modules()}
    assert not kinds & (set(FAST) - {nn.Linear})
    assert {fast.__name__ for fast in FAST.values()} - {kind.__name__ for kind in kinds} == set()


def test_a_codec_is_copied_and_pickled_with_them(tiny_codec: SemantiCodec):
    sound = torch.randn(16000)
    expected = tiny_codec.decode(tiny_codec.encode(sound), num_steps=1)
    for codec in (copy.deepcopy(tiny_codec), pickle.loads(pickle.dumps(tiny_codec))):
        assert [type(module) for module in codec.modules()] == [
            type(module) for module in tiny_codec.modules()
        ]
        assert torch.equal(codec.decode(codec.encode(sound), num_steps=1), expected)


def test_a_moved_or_cast_model_computes_as_torch(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("oneDNN was asked")

    network = use_onednn(unet())
    monkeypatch.setattr("semanticodec.runtimes.onednn.products._product", refuse)
    with torch.no_grad():
        for moved in (network.double(), network.to("meta")):
            parameter = next(moved.parameters())
            latent, timestep, context = inputs()
            given = (tensor.to(parameter.device) for tensor in (latent, timestep, context))
            assert moved(*given).device == parameter.device


def test_a_lone_layer_may_be_replaced():
    encoder = AcousticEncoder(AcousticEncoder.Config(width=4, hidden=8, num_layers=1))
    assert isinstance(use_onednn(encoder).lstm, nn.LSTM)


def test_maps_turn_channels_last_at_the_entrance():
    assert type(use_onednn(unet()).input_conv) is FirstConv2d


def test_no_module_chooses_its_algorithm_by_gradients():
    chosen = []
    folders = (PACKAGE / name for name in ("layers", "encoder", "decoder"))
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, (ast.Attribute, ast.Name))
        }
        chosen += [f"{path.name}: {name}" for name in names & {"is_grad_enabled"}]
    assert chosen == []
