"""Nightglass: scores large image folders every night and says when the production model must change."""

__version__ = "0.1.0"
