"""Runs made again from what their results say."""

from .again import rerun

__all__ = ["rerun"]
