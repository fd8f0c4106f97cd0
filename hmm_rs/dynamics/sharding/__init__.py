"""Particles whose nodes are cut into shards: here, or on the workers of an executor."""

from .blueprint import Blueprint
from .engine import ShardedEngine

__all__ = ["Blueprint", "ShardedEngine"]
