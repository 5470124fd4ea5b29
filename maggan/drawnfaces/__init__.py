"""Drawn faces: portraits with 13 attributes, exact soft part masks, and true counterfactuals."""

from .paint import DrawnFaces, draw, draw_flipped, render

__all__ = ["DrawnFaces", "draw", "draw_flipped", "render"]
