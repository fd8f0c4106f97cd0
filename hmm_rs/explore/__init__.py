"""The explorer: pages in a browser where theory follows a slider and a simulation can be laid over it.

``hmm-rs explore`` starts it. What is computed stands in :mod:`~hmm_rs.explore.pages` as plain functions of numpy and
the package; :mod:`~hmm_rs.explore.fields` turns their arguments into links and back; :mod:`~hmm_rs.explore.work`
computes; only :mod:`~hmm_rs.explore.dashboard` and :mod:`~hmm_rs.explore.server` know the browser.
"""

from .fields import Page, State, read_link, write_link
from .pages import PAGES
from .script import script
from .server import serve

__all__ = ["PAGES", "Page", "State", "read_link", "script", "serve", "write_link"]
