"""Evidence and a verdict for very many photos: streaming, resumable, exactly one row for each photo."""

from .run import Plan, Summary, screen

__all__ = ["Plan", "Summary", "screen"]
