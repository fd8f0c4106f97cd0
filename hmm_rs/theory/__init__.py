"""Theory: deterministic solvers and closed forms."""

from . import replica as replica
