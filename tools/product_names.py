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
a1111 acdsee adobe ai draw faceswap facefusion fooocus grok ideogram invoke invokeai leonardo novelai reface roop
swarmui things affinity android aperture bing bridge c2pa c2pa-rs c2patool camera capture capcut chatgpt classic
claim comfyui content core creator dall-e darktable diffusion digikam express faceapp facetune ffmpeg firefly
flux gemini generator gimp hdr imagemagick imagen instagram ios ipados irfanview krita library lightroom linux
macintosh macos meitu midjourney openai openai-api one os paint paint.net photomator photos photoshop picasa
picsart pixelmator python raw rawtherapee remini responsible sdk shotwell snapseed stability stable truepic
vsco webui windows facewitness
"""
_WORDS = frozenset((_MAKERS + _LINES + _PROGRAMS).split())
# What the words above tell of a program, the first that fits; of a file they tell only what it declares.
_KINDS = (
    (
        "an image generator",
        r"automatic1111|a1111|comfyui|dall-?e\b|draw things|firefly|fooocus|grok|ideogram|imagen\b|invoke ?ai"
        r"|leonardo\.?ai|midjourney|novelai|openai|chatgpt|stable ?diffusion|stability ?ai|swarmui",
    ),
    ("a face-editing app", r"faceapp|facefusion|facetune|faceswap|meitu|\breface\b|remini|\broop\b"),
    (
        "an editing program",
        r"acdsee|affinity|aperture|bridge|capture one|darktable|digikam|gimp|imagemagick|irfanview|krita|lightroom"
        r"|luminar|paint|photomator|photopea|photoshop|picasa|picsart|pixelmator|rawtherapee|shotwell|snapseed|vsco",
    ),
)
# Makers by what stands in a model's name.
_MAKERS_OF = {
    "apple": r"\bapple\b|iphone|ipad",
    "canon": r"canon|\beos\b|powershot|\bixus\b",
    "casio": r"casio|exilim",
    "fujifilm": r"fuji|finepix",
    "google": r"google|\bpixel\b",
    "huawei": r"huawei",
    "kodak": r"kodak",
    "leica": r"leica",
    "nikon": r"nikon|coolpix",
    "olympus": r"olympus",
    "panasonic": r"panasonic|lumix",
    "pentax": r"pentax",
    "samsung": r"samsung|galaxy",
    "sony": r"\bsony\b|xperia|cyber-shot|\bilce-|\bdslr-a|\bdsc-",
    "xiaomi": r"xiaomi|redmi|\bpoco\b",
}
# One company under two names, or cameras that are sold under both.
_PARTNERS = ({"leica", "panasonic"}, {"leica", "huawei"}, {"leica", "xiaomi"})
_MODEL_NUMBER = re.compile(r"[A-Za-z]{0,5}-?[A-Za-z]?\d[0-9.]{0,8}(?:[A-Za-z]{1,3}(?:\d{1,2}[A-Za-z]{0,2})?)?")
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


def program_kind(text: str) -> str | None:
    """What kind of program a text names: ``an image generator`` …; None if none of those known."""
    return next((kind for kind, words in _KINDS if re.search(words, text[:256], re.IGNORECASE)), None)


def makers(text: str) -> frozenset[str]:
    """Camera makers that a text names, by their own name or by that of a product line."""
    return frozenset(name for name, words in _MAKERS_OF.items() if re.search(words, text[:256], re.IGNORECASE))


def contradict(first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether two texts name makers, and none that could stand in both."""
    if not first or not second or first & second:
        return False
    return not any(pair & first and pair & second for pair in _PARTNERS)
