"""Settings of the whole suite."""

import matplotlib as mpl
from hypothesis import HealthCheck, settings

mpl.use("Agg")
# Shared machines stall for seconds: a deadline would fail good code.
settings.register_profile(
    "suite", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("suite")
