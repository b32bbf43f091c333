"""Measurements of the shipped product: run as ``python -m facewitness.evals.NAME --data PATH``."""
