"""Measuring: the judges, the protocol, its numbers with intervals, and reading what was measured."""

from .protocol import evaluate
from .results import Results

__all__ = ["Results", "evaluate"]
