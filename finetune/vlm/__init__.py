"""Training a vision-language model on instruction data; the command is ``python -m facewitness.finetune.vlm``."""
