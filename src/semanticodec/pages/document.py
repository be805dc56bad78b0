"""A whole HTML file that needs nothing else: no server, no network."""

from __future__ import annotations

from html import escape

from semanticodec import __version__
from semanticodec.pages.player import player_script
from semanticodec.pages.table import TABLE_CSS

# Nothing may be fetched from anywhere, which a browser then guarantees.
POLICY = (
    "default-src 'none'; img-src data:; media-src data:; connect-src data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
)
CSS = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
"""


def html_document(title: str, body: str, command: str) -> str:
    """Return a file with players.

    Args:
        title: title and first heading.
        body: HTML below the heading.
        command: command that writes such a file.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}{TABLE_CSS}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}</main>\n"
        f"<footer><p>Made by <code>{escape(command)}</code>, version {__version__}. Sounds are "
        "stored as Opus in this page.</p></footer>\n"
        f"<script>{player_script()}</script>\n</body>\n</html>\n"
    )
