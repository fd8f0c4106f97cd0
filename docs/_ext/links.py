"""Names of the package in running text lead to their pages: `hr.OnlineSGD` is enough, in any Markdown reader too."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform
from surface import target_of

__all__ = ["LinkNames"]


class LinkNames(SphinxTransform):
    """Turn inline code that is a public name, `hr.theory.SaadSolla` or a call of it, into a reference."""

    default_priority = 5

    def apply(self, **kwargs: Any) -> None:  # noqa: ARG002
        """Wrap what is not a link or a heading already."""
        for node in list(self.document.findall(nodes.literal)):
            target = target_of(node.astext())
            outside: Any = node.parent
            while outside is not None and not isinstance(
                outside, nodes.reference | pending_xref | nodes.title
            ):
                outside = outside.parent
            if target is None or outside is not None:
                continue
            role, address = target
            reference = pending_xref(
                "", refdoc=self.env.docname, refdomain="py", reftype=role, reftarget=address, refexplicit=True
            )
            node.replace_self(reference)
            reference += node
