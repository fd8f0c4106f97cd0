"""Settings of the whole suite."""

import matplotlib as mpl

from hmm_rs.testing import use_profile

mpl.use("Agg")
# `pytest --hypothesis-profile=thorough` is read later, and so has the last word.
use_profile("quick")
