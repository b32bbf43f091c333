"""The embedded model before its training: LLaVA with a SigLIP-type tower, an MLP projector and SmolLM2-135M.

Run: ``python -m facewitness.finetune.vlm.embedded --out DIR [--tower DIR]``

The language model is the registered 4-bit file, dequantised; the tower is a folder with a ``SiglipVisionModel`` as
transformers saves it, whose configuration says how large pictures are. Layout of the model: Liu et al. 2023, arXiv
2310.03744.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.utils import logging

from ...agent.embedded_model import WEIGHTS
from ...errors import InvalidOption
from ...tools import weights
from ..training import command
from .layouts import MARK

TOWER = {
    "image_size": 112,
    "patch_size": 14,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
}
"""Of a random tower: 64 tokens a picture."""
PROJECTOR = "projector.safetensors"
"""In the folder of a projector that was taught before."""
FEATURE_LAYER = -2
"""Hidden state of the tower that the projector reads, as in LLaVA."""
_BLOCK = 64  # the vocabulary is padded to a multiple of it
_BEGIN, _END, _PADDING = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
TEMPLATE = (
    "{%- macro told(content) -%}{%- if content is string -%}{{ content }}{%- else -%}{%- for part in content -%}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}{%- endfor -%}{%- endif -%}{%- endmacro -%}"
    "{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + '\n' + told(message['content']) + "
    "'<|im_end|>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
"""SmolLM2's turns, without a system message unless one is given: every token costs time on a CPU."""


def main() -> None:
    """Build it."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.vlm.embedded")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, 570 MB")
    parser.add_argument("--tower", type=Path, help="folder of a trained tower; a random one if not given")
    options = parser.parse_args()
    command(lambda: build(options.out, options.tower))


def build(out: Path, tower: Path | None = None, seed: int = 0, projector: Path | None = None) -> Path:
    """Put the model together in ``out``, unless it is there; complete or absent, never half-written.

    Args:
        out: Folder for a checkpoint that transformers loads.
        tower: Folder of a ``SiglipVisionModel``.
        seed: Of a random projector and of a random tower.
        projector: Folder in which ``words`` wrote one; a random one if not given.

    Raises:
        InvalidOption: The tower's or the projector's folder holds none.
        WeightsMissing: The language model cannot be had.
    """
    if not out.is_dir():
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{out.name}.", dir=out.parent))
        try:
            language, tokenizer = language_model()
            model, processor = assemble(language, tokenizer, tower, seed)
            if projector:
                _project(model, projector / PROJECTOR)
            model.save_pretrained(work)
            processor.save_pretrained(work)
            os.replace(work, out)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return out


def language_model() -> tuple[Any, Any]:
    """SmolLM2-135M-Instruct in single precision, and its tokenizer.

    Raises:
        WeightsMissing: It cannot be had.
    """
    file = weights.path(WEIGHTS)
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return model, tokenizer


def assemble(language: Any, tokenizer: Any, tower: Path | None, seed: int = 0) -> tuple[Any, Any]:
    """LLaVA from its parts, and its processor; the projector is random.

    Args:
        language: A ``LlamaForCausalLM`` with tied embeddings.
        tokenizer: Its tokenizer, which gets the picture token.
        tower: As for ``build``.
        seed: As for ``build``.
    """
    vision = _vision_config(tower)
    tokenizer.add_tokens([MARK], special_tokens=True)
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = _BEGIN, _END, _PADDING
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(_config(vision, language.config, tokenizer)).eval()
    if tower:
        model.model.vision_tower.load_state_dict(SiglipVisionModel.from_pretrained(tower).state_dict())
    _adopt(model, language)
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model.generation_config = GenerationConfig(**ends)
    side = {"height": vision.image_size, "width": vision.image_size}
    processor = LlavaProcessor(
        SiglipImageProcessorPil(size=side, do_convert_rgb=True),
        tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        image_token=MARK,
        num_additional_image_tokens=0,
    )
    return model, processor


def _vision_config(tower: Path | None) -> SiglipVisionConfig:
    if tower is None:
        return SiglipVisionConfig(**TOWER)
    try:
        found = AutoConfig.from_pretrained(tower)
    except (OSError, ValueError):
        raise InvalidOption(f"{tower} holds no vision tower that transformers has saved.") from None
    if found.model_type != "siglip_vision_model":
        raise InvalidOption(f"{tower} holds a {found.model_type}, not a siglip_vision_model.")
    return found


def _config(vision: SiglipVisionConfig, language: Any, tokenizer: Any) -> LlavaConfig:
    text = {key: value for key, value in language.to_dict().items() if key != "quantization_config"}
    text["vocab_size"] = -(-len(tokenizer) // _BLOCK) * _BLOCK
    text |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return LlavaConfig(
        vision_config=vision.to_dict(),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(MARK),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )


def _project(model: Any, file: Path) -> None:
    try:
        model.model.multi_modal_projector.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError):
        raise InvalidOption(f"{file.parent} holds no projector of this tower's width.") from None


def _adopt(model: Any, language: Any) -> None:
    """Copy the language model; tokens that it did not know embed as zeros."""
    state = language.model.state_dict()
    known = state["embed_tokens.weight"]
    grown = known.new_zeros(model.config.text_config.vocab_size, known.shape[1])
    grown[: len(known)] = known
    model.model.language_model.load_state_dict({**state, "embed_tokens.weight": grown})
    model.tie_weights()


if __name__ == "__main__":
    main()
