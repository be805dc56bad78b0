"""Tables of figures, readable on narrow screens and by screen readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TABLE_CSS = """
.scrolls { overflow-x: auto; }
.scrolls table { border-collapse: collapse; margin: 0.5rem 0; }
.scrolls :is(th, td) { padding: 0.2rem 0.8rem; text-align: right; white-space: nowrap;
                       border: 1px solid #8888; }
.scrolls a { text-decoration: underline; }
figure { margin: 0.5rem 0; }
figure img { max-width: 100%; height: auto; }
"""


def table_html(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Return a table that scrolls by itself where it is too wide.

    Args:
        columns: titles of the columns behind the first, which has no title.
        rows: cells, as HTML, by what the row is about.
    """
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return (
        '<div class="scrolls" tabindex="0" role="region" aria-label="Figures"><table>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
