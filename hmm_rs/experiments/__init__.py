"""Experiments: many runs that together answer one question, with errors on the answer."""
