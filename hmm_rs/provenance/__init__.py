"""Where a result comes from, as data: enough to make it again, and never code."""
