"""Recipes that fit what facewitness ships: run as ``python -m facewitness.finetune.NAME --data PATH``."""
