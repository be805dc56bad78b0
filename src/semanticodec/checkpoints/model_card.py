"""The model card that is saved with a model for the Hub: what it is and how to use it."""

from __future__ import annotations

from semanticodec.config import CodecConfig

CARD_NAME = "README.md"

_CARD = """\
---
library_name: {library}
tags:
- audio
- codec
- audio-tokenizer
- semanticodec
---

# {title}

A codec of [SemantiCodec](https://arxiv.org/abs/2405.00233)'s kind: {tokens} tokens per second of
speech, music or sound, {bitrate:.0f} bits per second, {semantic} semantic and {acoustic} acoustic
codes, audio at {sample_rate} Hz.

{usage}
## To be written by whoever publishes this model

What it was trained on, under which licenses, how well it does (`semanticodec evaluate
reconstruction`), what it is bad at, and the license of the weights.
"""
_USAGE = """\
```bash
pip install "semanticodec"
```

```python
from semanticodec import SemantiCodec

codec = SemantiCodec.from_pretrained("{name}")
codes = codec.encode("speech.wav")  # [B, 2, L] as codes.stacked()
wav = codec.decode(codes)
```
"""
_HF_USAGE = """
With transformers (`pip install "semanticodec[hf]"`):

```python
from transformers import AutoModelForAudioTokenization

model = AutoModelForAudioTokenization.from_pretrained("{name}", trust_remote_code=True)
audio_codes = model.encode(input_values).audio_codes  # [B, 1, T] -> [B, 2, L]
audio_values = model.decode(audio_codes).audio_values
```
"""


def model_card(config: CodecConfig, name: str = "", *, has_hf_code: bool = False) -> str:
    """Return a model card in Markdown.

    Args:
        config: sizes of the codec.
        name: Hub id of the model, where it is known.
        has_hf_code: whether the classes of `transformers` are saved with the model.
    """
    grid, name = config.format, name or "OWNER/NAME"
    usage = _USAGE + (_HF_USAGE if has_hf_code else "")
    return _CARD.format(
        library="transformers" if has_hf_code else "semanticodec",
        title=name.rpartition("/")[2],
        tokens=grid.token_rate,
        bitrate=grid.bitrate,
        semantic=grid.semantic_vocab_size,
        acoustic=grid.acoustic_vocab_size,
        sample_rate=grid.sample_rate,
        usage=usage.format(name=name),
    )
