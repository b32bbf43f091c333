"""The embedded model's vision tower, trained by distillation from the tools and from labels.

Run: ``python -m facewitness.finetune.vlm_tower --data PATH --forgeries SET --cache DIR --out DIR``;
see docs/models/embedded_tower.md.
"""
