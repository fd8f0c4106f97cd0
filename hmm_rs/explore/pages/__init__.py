"""The pages of the explorer: theory, simulation and pictures of one subject each."""

from .compression import COMPRESSION
from .hinge import HINGE
from .online import ONLINE
from .replica import REPLICA

__all__ = ["PAGES"]

#: In the order of the tabs.
PAGES = (ONLINE, HINGE, COMPRESSION, REPLICA)
