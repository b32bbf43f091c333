"""Names of cameras and programs, taken out of untrusted text.

What a file says about itself can be written by anyone, also to address whoever reads the report. So such text is
never repeated: only known words and model numbers in it are, and everything else is left out.
"""

from __future__ import annotations

import re

_MAKERS = """
acer agfa agfaphoto apple arri asus blackmagic canon casio dji eastman epson foxconn fuji fujifilm garmin
google gopro hasselblad hewlett-packard honor hp htc huawei insta360 kodak konica kyocera leica lenovo lg lge
mamiya meizu microsoft minolta motorola nikon nokia nothing nvidia olympus oneplus oppo panasonic pentax phase
polaroid realme ricoh rollei samsung sanyo sharp sigma sony tecno vivo xiaomi yashica zeiss zte
"""
_LINES = """
aquos coolpix corp corporation cyber-shot company designjet digital dimage dmc dsc dslr dslr-a eos exilim fe
finepix galaxy gr ii iii imaging inc iphone ipad ixus iv kiss leitz lumix mark max mavic mini mk mobile moto
note om-d optical optio pen pixel plus poco powershot pro r rebel redmi s se stylus technologies ultra v vi
vii x xperia xr xs xt z zenfone zoom zv
"""
_PROGRAMS = """
acdsee adobe affinity android aperture bing bridge c2pa c2pa-rs c2patool camera capture capcut chatgpt classic
claim comfyui content core creator dall-e darktable diffusion digikam express faceapp facetune ffmpeg firefly
flux gemini generator gimp hdr imagemagick imagen instagram ios ipados irfanview krita library lightroom linux
macintosh macos meitu midjourney openai openai-api one os paint paint.net photomator photos photoshop picasa
picsart pixelmator python raw rawtherapee remini responsible sdk shotwell snapseed stability stable truepic
vsco webui windows facewitness
"""
_WORDS = frozenset((_MAKERS + _LINES + _PROGRAMS).split())
_MODEL_NUMBER = re.compile(r"[A-Za-z]{0,5}-?\d[A-Za-z0-9.]{0,11}")
_MAX_WORDS = 8
_MAX_LENGTH = 64


def known_name(text: str) -> str | None:
    """The known words and model numbers of a text, or None when it has no known word.

    Returns:
        At most 64 characters of letters, digits, ``.``, ``-`` and single spaces; no other text can come through.
    """
    words = [word.strip(".-") for word in re.findall(r"[A-Za-z0-9.-]+", text[:256])]
    kept = [word for word in words if word.lower() in _WORDS or _MODEL_NUMBER.fullmatch(word)][:_MAX_WORDS]
    if not any(word.lower() in _WORDS for word in kept):
        return None
    return " ".join(kept)[:_MAX_LENGTH].strip()
