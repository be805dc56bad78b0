"""The LSTM: torch's arithmetic, and items that do not depend on their batch, to the bit."""

import pytest
import torch

from semanticodec.runtimes.onednn import lstm as lstm_module
from semanticodec.runtimes.onednn.lstm import LARGEST_GROUP, FastLSTM
from semanticodec.runtimes.onednn.products import PackedWeight


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=["together", "apart", "torch"])
def kernel(request, monkeypatch):
    """Every way to compute, whatever the size: in groups, in groups of one, by torch."""
    if request.param == "torch":
        return
    monkeypatch.setattr(lstm_module, "FEWEST_HIDDEN", 1)
    if request.param == "apart":
        monkeypatch.setattr(lstm_module, "_keeps_rows_apart", lambda *_: False)


def lstm(width, hidden, num_layers, bidirectional):
    return FastLSTM(width, hidden, num_layers, batch_first=True, bidirectional=bidirectional)


def reference(layer, inputs):
    plain = torch.nn.LSTM(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        batch_first=True,
        bidirectional=layer.bidirectional,
    )
    plain.load_state_dict(layer.state_dict())
    return plain(inputs)[0]


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_items", [1, 2, 3, LARGEST_GROUP + 3])
def test_agrees_with_torch_and_keeps_items_apart(num_items, bidirectional):
    layer = lstm(24, 32, 2, bidirectional)
    inputs = torch.randn(num_items, 9, 24)
    with torch.no_grad():
        outputs, _ = layer(inputs)
        torch.testing.assert_close(outputs, reference(layer, inputs), rtol=1e-5, atol=1e-6)
        alone = torch.cat([layer(item)[0] for item in inputs.split(1)])
    assert torch.equal(outputs, alone)


def test_items_stay_apart_at_a_size_that_shares_its_steps():
    layer = lstm(8, lstm_module.FEWEST_HIDDEN, 1, bidirectional=False)
    inputs = torch.randn(5, 3, 8)
    with torch.inference_mode():
        outputs, _ = layer(inputs)
        assert torch.equal(outputs[3:4], layer(inputs[3:4])[0])
        torch.testing.assert_close(outputs, reference(layer, inputs), rtol=1e-5, atol=1e-6)


def test_rows_that_depend_on_their_group_are_found():
    class Careful(PackedWeight):
        def __init__(self):
            pass

        def product(self, inputs):
            return inputs.repeat(1, 4)

    class Careless(Careful):
        """A product that rounds differently in a larger group."""

        def product(self, inputs):
            return inputs.repeat(1, 4) * (1 + 1e-6 * (len(inputs) > 2))

    assert lstm_module._keeps_rows_apart(Careful(), 32)
    assert not lstm_module._keeps_rows_apart(Careless(), 32)


def test_training_is_torch_s_own():
    layer, inputs = lstm(6, 8, 2, bidirectional=True), torch.randn(3, 5, 6)
    outputs, _ = layer(inputs)
    assert torch.equal(outputs, reference(layer, inputs))
    outputs.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
