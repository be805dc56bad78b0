"""Links between the repository's files, as far as the site has them.

A link to a folder leads to the page of its README.md, a link to code to its listing, where the
reference has one. Of other links to code and folders the text is left. Links to other files are
downloads, which is Sphinx's own doing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

CODE = "listing"  # kind of a reference whose target is a module
PACKAGES = "src"


class RepositoryLinks(SphinxTransform):
    """Find links to folders and to code before Sphinx takes them for pages and downloads."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Rewrite the links of one page."""
        links = [each for each in self.document.findall(nodes.Element) if _is_link_to_file(each)]
        for link in links:
            path = Path(self.env.relfn2path(link["reftarget"], self.env.docname)[1])
            if path.is_dir():
                self._link_to_folder(link, path)
            elif path.suffix in (".py", ".yml") or path.name in ("LICENSE", "pyproject.toml"):
                self._link_to_code(link, path)

    def _link_to_folder(self, link: nodes.Element, folder: Path) -> None:
        page = self.env.path2doc(folder / "README.md")
        if page is None or not (folder / "README.md").is_file():
            self._link_to_code(link, folder / "__init__.py")
            return
        link.update_all_atts({"refdomain": "doc", "reftarget": page}, replace=True)
        link["reftargetid"] = None

    def _link_to_code(self, link: nodes.Element, file: Path) -> None:
        inside = file.with_suffix("").relative_to(self.env.srcdir).parts
        parts = inside[1:] if inside[0] == PACKAGES else inside
        module = ".".join(parts).removesuffix(".__init__")
        (content,) = link.children
        link.replace_self(
            addnodes.pending_xref("", content, refdomain="", reftype=CODE, reftarget=module)
        )


def _is_link_to_file(node: nodes.Element) -> bool:
    if isinstance(node, addnodes.download_reference):
        return True
    return isinstance(node, addnodes.pending_xref) and (
        node["reftype"] == "myst" and not node.get("refdomain") and "#" not in node["reftarget"]
    )


def link_to_listing(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Return a link to a module's listing, or the link's text where it has none."""
    if node["reftype"] != CODE:
        return None
    module = node["reftarget"]
    if not getattr(env, "_viewcode_modules", {}).get(module):
        return content
    return make_refnode(
        app.builder, node["refdoc"], f"_modules/{module.replace('.', '/')}", "", content
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the transform and of the listings."""
    app.add_transform(RepositoryLinks)
    app.connect("missing-reference", link_to_listing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
