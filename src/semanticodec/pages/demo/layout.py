"""The demo page in Gradio: what stands where, and which button asks for what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semanticodec.decoder.sampling import QUALITIES
from semanticodec.errors import MissingDependencyError
from semanticodec.pages.demo.visits import Shown, Visits
from semanticodec.pages.player import player_script
from semanticodec.pages.table import TABLE_CSS

try:
    import gradio
    from gradio.components import Component
    from gradio.themes import Default
except ImportError as missing:
    raise MissingDependencyError(
        f"the demo page needs {missing.name}; install it with pip install 'semanticodec[demo]'"
    ) from missing

TITLE = "SemantiCodec"
REQUESTS_AT_ONCE = 8  # which take turns; more wait and see their place
UPLOADS_LIVE_S = 3600
LARGEST_SEED = 2**31 - 1
# Gradio's groups of buttons show a name that screen readers are not told.
NAME_GROUPS = """() => {
  for (const group of document.querySelectorAll("fieldset")) {
    const name = group.querySelector('[data-testid="block-info"]');
    if (name) group.setAttribute("aria-label", name.textContent.trim());
  }
}"""
ERROR_CSS = """
.error { color: #b00020; }
.dark .error { color: #ff8a80; }
"""


def build_page(visits: Visits) -> gradio.Blocks:
    """Return the page.

    Args:
        visits: answers to what the buttons ask for.
    """
    with gradio.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(UPLOADS_LIVE_S, UPLOADS_LIVE_S)
    ) as page:
        gradio.Markdown(
            f"# {TITLE}\nRecord or upload speech, music or any sound, of at most "
            f"{visits.limits.max_seconds:g} seconds, and hear what 25 to 100 tokens per second "
            "keep of it. The sound goes to no other server."
        )
        with gradio.Tab("Encode a sound"):
            _add_encoding(visits)
        with gradio.Tab("Decode a .smtc file"):
            _add_decoding(visits)
    return page


def launch_options() -> dict[str, Any]:
    """Return what `Blocks.launch` is to be told of looks, script and privacy."""
    fonts = ["system-ui", "sans-serif"]
    return {
        "theme": Default(font=fonts, font_mono=["ui-monospace", "monospace"]),
        "css": TABLE_CSS + ERROR_CSS,
        "js": NAME_GROUPS,
        "head": f"<script>{player_script()}</script>",
        "footer_links": ["settings"],
        "share": False,
        "ssr_mode": False,
        "quiet": True,
        "prevent_thread_lock": True,
    }


def _add_encoding(visits: Visits) -> None:
    rates = visits.codecs.token_rates
    sound = gradio.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label="Sound",
        editable=False,
        buttons=["download"],  # no "share", which is for the Hub
    )
    with gradio.Row():
        rate = gradio.Radio(rates, value=rates[0], label="Tokens per second")
        vocabulary = gradio.Dropdown(
            label="Semantic vocabulary", **_vocabularies(visits, rates[0]), filterable=False
        )
        quality, seed = _decoding_settings()
    with gradio.Row():
        encode = gradio.Button("Encode and decode", variant="primary")
        compare = gradio.Button("Compare all token rates")
        cancel = gradio.Button("Cancel")
    status, result = gradio.HTML(), gradio.HTML()
    rate.change(
        lambda chosen: gradio.update(**_vocabularies(visits, chosen)),
        rate,
        vocabulary,
        show_progress="hidden",
        api_visibility="private",
    )
    shown = [status, result]
    _ask(encode, visits.code, [sound, rate, vocabulary, quality, seed], shown)
    _ask(compare, visits.compare, [sound, quality, seed], shown)
    _let_stop(cancel, visits)


def _add_decoding(visits: Visits) -> None:
    file = gradio.File(file_types=[".smtc"], label="File of codes (.smtc)", height=120)
    with gradio.Row():
        quality, seed = _decoding_settings()
    with gradio.Row():
        decode = gradio.Button("Decode", variant="primary")
        cancel = gradio.Button("Cancel")
    shown = [gradio.HTML(), gradio.HTML()]
    _ask(decode, visits.decode, [file, quality, seed], shown)
    _let_stop(cancel, visits)


def _vocabularies(visits: Visits, token_rate: int) -> dict[str, Any]:
    sizes = visits.codecs.settings[token_rate]
    return {"choices": list(sizes), "value": max(sizes), "interactive": len(sizes) > 1}


def _decoding_settings() -> tuple[gradio.Radio, gradio.Number]:
    quality = gradio.Radio(list(QUALITIES), value="standard", label="Quality")
    seed = gradio.Number(0, precision=0, minimum=0, maximum=LARGEST_SEED, label="Random seed")
    return quality, seed


def _ask(
    button: gradio.Button,
    request: Callable[..., Shown],
    inputs: list[Component],
    shown: list[gradio.HTML],
) -> None:
    """Let a button ask for a request and show its status and its result."""

    def answer(visit: gradio.Request, *values: object) -> Shown:
        yield from request(*values, visitor=visit.session_hash or "")

    button.click(
        answer,
        inputs,
        shown,
        show_progress="hidden",
        concurrency_limit=REQUESTS_AT_ONCE,
        api_visibility="private",
    )


def _let_stop(button: gradio.Button, visits: Visits) -> None:
    """Let a button stop what its visitor asked for.

    Gradio's own way (`cancels`) leaves buttons behind that do nothing any more.
    """

    def stop(visit: gradio.Request) -> None:
        visits.stops.stop(visit.session_hash or "")

    button.click(stop, show_progress="hidden", concurrency_limit=None, api_visibility="private")
