"""The manual's generator is imported from where it lies; it needs no Sphinx."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))
