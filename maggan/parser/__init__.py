"""The face parser: reads its weights and parses faces into soft masks of the 19 parts (section 4)."""

from .bisenet import BiSeNet
from .parser import load_parser, normalise, parse

__all__ = ["BiSeNet", "load_parser", "normalise", "parse"]
