"""The documentation site, built by `make docs`: the repository's own pages, and its docstrings.

The source folder is the repository, so that every link between its files holds in the site, too.
"""

import sys
from pathlib import Path

from semanticodec import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "semanticodec"
author = "the semanticodec developers"
version = release = __version__
html_title = project

root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/**.md",
    "demo/examples/README.md",
    "examples/**/README.md",
    "experiments/**/README.md",
    "src/semanticodec/default_model/MODEL_CARD.md",
]
exclude_patterns = [".*", "build", "dist", "runs", "demo-output", "unfinished", "tests"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "command_help",
    "docstrings",
    "repository_links",
]

myst_heading_anchors = 3
default_role = "code"  # docstrings write `name`
napoleon_custom_sections = [("Source", "params_style")]
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of dataclasses are attributes of their own already
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Audio": "Audio", "Ids": "Ids"}  # unions of many types
highlight_language = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_extra_path = ["extra"]  # index.html, which leads to the first page
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # pages opened from disk may not read one another
html_theme_options = {"navigation_with_keys": True}
