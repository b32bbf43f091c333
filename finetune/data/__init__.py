"""Data engines: labelled images and tool evidence become instruction data; run ``python -m facewitness.finetune.data``.

Every engine yields :class:`~facewitness.finetune.data.sample.Sample`; docs/design/instruction_data.md says why they are
as they are.
"""
