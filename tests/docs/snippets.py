"""Read the fenced blocks of a Markdown document."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"(?:^<!-- skip: (?P<reason>[^>]+) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Snippet(NamedTuple):
    """One fenced block; `skip` says why it is not run, `line` where it starts."""

    language: str
    body: str
    skip: str
    line: int


def snippets(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Snippet(
            match["language"],
            match["body"],
            match["reason"] or "",
            text.count("\n", 0, match.start("body")) + 1,
        )
        for match in FENCE.finditer(text)
    ]


def run(snippet, document, namespace):
    """Execute a block so that a traceback shows the document's own line."""
    padded = "\n" * (snippet.line - 1) + snippet.body
    exec(compile(padded, str(ROOT / document), "exec"), namespace)
