"""The start of a context transformer, on streams of very different size."""

import torch

from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.training.context_start import start_input

WIDTHS = (24, 24, 0, 40)


@torch.no_grad()
def test_every_stream_enters_centered_and_as_large():
    torch.manual_seed(0)
    transformer = ContextTransformer(ContextTransformer.Config(width=256), sum(WIDTHS))
    streams = [
        mean + spread * torch.randn(500, width)
        for width, mean, spread in zip(WIDTHS, (0.0, 1.0, 0.0, -6.0), (0.1, 1.0, 0.0, 5.0))
    ]
    start_input(transformer, torch.cat(streams, dim=1), WIDTHS)
    entered = transformer.input(torch.cat(streams, dim=1))
    assert entered.mean().abs() < 0.01
    assert 0.8 < entered.var(dim=0).mean() < 1.2
    for at in (0, 1, 3):
        alone = [
            x if i == at else x.mean(0, keepdim=True).expand_as(x) for i, x in enumerate(streams)
        ]
        share = transformer.input(torch.cat(alone, dim=1)).var(dim=0).mean()
        assert 0.25 < share < 0.42, at
