"""Sentences as tokens: numbers, labels, opposites, negation. The grounding check compares these, never raw text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["word", "number", "label", "polar", "unit"]

# Words that join what was measured and assert nothing themselves. No hedge, quantifier or judgement belongs here.
_GLUE = """a an the this that these those it its they them their there here what which who of in on at by to for from
with as into onto about between within is are was were be been being has have had do does did and or also then thus so
therefore taken together given while whereas although because but however moreover further furthermore additionally in
addition overall next too both photo photograph picture image file face faces facial s measurement
measure finding find found result evidence value tool tools reading report show give gave read state stand describe
note see seen say make among such question ask asked answer regarding concerning
measured examination examine compare compared observation observe detect estimate estimated"""

# Opposites. In the first table "not A" says B; in the second it does not (not left is not right).
_FLIPPING = {
    "presence": ("present presence", "absent absence missing"),
    "order": ("above exceed over higher greater larger more", "below under lower less smaller fewer"),
    "match": ("match", "mismatch"),
    "agree": ("agree", "disagree"),
    "consistent": ("consistent consistency", "inconsistent inconsistency"),
    "same": ("same identical", "different differ"),
    "valid": ("valid", "invalid"),
    "similar": ("similar", "dissimilar"),
}
_EXACT = """left right up upward upwards down downward downwards high low strong weak sharp blurred bright dark open
closed raised lowered wide narrow toward away before after inside outside clockwise anticlockwise counterclockwise
smile smiling neutral joy happy sad sadness anger angry fear disgust surprise surprised contempt increase decrease first
last"""

_NEGATORS = frozenset(
    """not no never neither nor without none cannot hardly scarcely fail fails failed lack lacks""".split()
)
_UNITS = frozenset(
    """degree degrees deg pixel pixels px percent db mm cm year years second seconds ms cosine bits""".split()
)

# Every way of naming a label that a finding could contain; what no finding contains is refused as an unknown word.
_LABELS = tuple(
    (re.compile(pattern), label)
    for pattern, label in (
        (r"\b(?:an? )?forger(?:y|ies) of the (?:enrolled |same )?person\b(?!')", "a forgery of the person"),
        (
            r"\b(?:(?:someone|somebody) else|(?:another|a different) (?:person|individual)|impost[eo]rs?|strangers?)\b",
            "someone else",
        ),
        (r"\b(?:the )?same (?:person|individual|man|woman)\b(?!')", "the person"),
        (
            r"(?:(?<=\bis )|(?<=\bshows )|(?<=\bdepicts )|(?<=\bbe )|(?<=\bas )|(?<=\bnot )|(?<=\bof )|(?<=: ))"
            r"the (?:enrolled |claimed )?person\b(?!')",
            "the person",
        ),
        (r"\b(?:authentic(?:ity)?|genuine(?:ness)?|real|unaltered|unedited|unmanipulated|untouched)\b", "authentic"),
        (
            r"\b(?:manipulat(?:ed|ion|ions)|edited|altered|tampered|doctored|retouched|swapp?ed|spliced|morphed)\b",
            "manipulated",
        ),
        (r"\b(?:synthe(?:tic|sis|sised|sized)|(?:ai |computer )?generated|artificial|deepfakes?)\b", "synthetic"),
        (r"\b(?:forg(?:ed|ery|eries)|fakes?|faked|counterfeit)\b", "forged"),
        (r"\binconclusive\b", "inconclusive"),
    )
)
_NUMBER_WORDS = {
    word: str(n)
    for n, word in enumerate("""zero one two three four five six seven eight nine ten eleven twelve""".split())
}

_TOKEN = re.compile(r"<[a-z ]+>|(?<![\w.])[-+]?[0-9]+(?:\.[0-9]+)?(?!\w)|\w+|[^\w\s'./-]")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_BREAKS = re.compile(r"\s*[,;:()]\s*|\s+(?:and|but|while|whereas|although|because|so)\s+|\s+[-\u2013\u2014]+\s+")
_VERBS = frozenset(
    """is are was were be has have had do does shows show gives gave lies rests exceeds matches agree agrees could
        cannot can decide decides differ differs display displays follow follows supports points stands equals
        falls""".split()
)
_CONDITION = re.compile(r"(?:where|when|if|unless|otherwise|until|should)\b")
_RELATIVES = frozenset(("that", "which", "who"))
_BOUND = re.compile(r"(?:above|below|over|under|from|at|up|beyond|outside|within)\b")
_QUOTED = re.compile(r"\"([^\"]*)\"|\u201c([^\u201d]*)\u201d")


@dataclass(frozen=True, slots=True)
class Token:
    """One unit of meaning.

    Attributes:
        kind: ``word`` (a stem), ``number``, ``label``, ``polar`` (one of a pair of opposites) or ``unit``.
        text: Stem, printed number, label, or ``group+``/``group-``.
        negated: Whether an odd number of negations stands before it in its segment.
        segment: Number of the segment, counted through the sentence.
        percent: For a number: whether it is printed as per cent.
        denied: Whether a negation after it denies it ("the surroundings do not show it").
        relative: Whether it stands after a "that" which is not the segment's first word ("EXIF says that …").
    """

    kind: Kind
    text: str
    negated: bool
    segment: int
    percent: bool = False
    denied: bool = False
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two breaks (comma, colon, "and" …) of a sentence.

    Attributes:
        tokens: Without glue.
        verb: Index in ``tokens`` of the first token after the first verb; None without a verb.
        dangling: A negation that negates no token.
        conditional: It states what would hold under a condition ("where …", "above 4.5 px it cannot …").
        text: The words, glue and all.
    """

    tokens: tuple[Token, ...]
    verb: int | None
    dangling: bool
    conditional: bool = False
    text: str = ""

    @property
    def silent(self) -> bool:
        """Whether it says something in glue and "nothing" alone: "the face was found in this photo"."""
        bare = all(token.text == stem("nothing") for token in self.tokens)
        return bare and (self.verb is not None or self.dangling)


def stem(word: str) -> str:
    """Word without its common English endings; the same for every spelling that only inflects."""
    for ending, rest in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) + len(rest) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: len(word) - len(ending)] + rest
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


GLUE = frozenset(stem(word) for word in _GLUE.split()) | frozenset(_GLUE.split())
_POLAR = {
    **{
        stem(word): f"{group}{sign}"
        for group, words in _FLIPPING.items()
        for sign, side in zip("+-", words, strict=True)
        for word in side.split()
    },
    **{stem(word): stem(word) for word in _EXACT.split()},
}


def normalise(text: str) -> str:
    """Compatibility forms folded, spaces collapsed, lower case."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2212", "-")
    return " ".join(text.split()).lower()


def quotes(text: str) -> list[str]:
    """What stands in double quotation marks: words from outside, such as metadata."""
    return [" ".join(filter(None, match)) for match in _QUOTED.findall(text)]


def unquoted(text: str) -> str:
    """The text without what stands in double quotation marks."""
    return _QUOTED.sub(" ", text)


def segments(text: str, start: int = 0) -> list[Segment]:
    """A normalised sentence, without quotations, as segments."""
    text = re.sub(r"\bau (\d+)", r"au\1", text)
    text = re.sub(r"n't\b", " not", text.replace("can't", "cannot").replace("per cent", "percent"))
    text = text.replace("one another", "each other")  # no number
    text = re.sub(r"\((\w+)\)", r"\1", text)  # a short name in brackets does not end what a "no" reaches
    text = text.replace("<", " ")  # from here on it marks a label
    for pattern, label in _LABELS:
        text = _outside_labels(pattern, label, text)
    parts = [part for part in _BREAKS.split(text.rstrip(". ")) if part]
    return [_segment(part, number) for number, part in enumerate(parts, start)]


def _outside_labels(pattern: re.Pattern[str], label: str, text: str) -> str:
    pieces = re.split(r"(<[^>]*>)", text)
    if len(pieces) == 1:
        return pattern.sub(f"<{label}>", text)
    return "".join(piece if piece.startswith("<") else pattern.sub(f"<{label}>", piece) for piece in pieces)


def _segment(text: str, number: int) -> Segment:
    tokens: list[Token] = []
    verb: int | None = None
    negations, since = 0, 99
    dangling = False
    opened: list[int] = []  # the tokens at which relative clauses begin
    for word, raw in enumerate(_TOKEN.findall(text)):
        raw = _NUMBER_WORDS.get(raw, raw)
        if raw in _RELATIVES and word:
            opened.append(len(tokens))
        if raw in _NEGATORS:
            # "Neither A nor B" denies both.
            negations, since = (negations + 1 if since <= _SCOPE and raw != "nor" else 1), 0
            dangling = True
            continue
        if raw in _VERBS and verb is None:
            verb = len(tokens)
        if raw in ("%", "percent") and tokens and tokens[-1].kind == "number":
            tokens[-1] = Token("number", tokens[-1].text, tokens[-1].negated, number, percent=True)
            continue
        since += 1
        negated = bool(negations % 2) and since <= _SCOPE
        token = _token(raw, negated, number)
        if negated and token is not None and token.kind == "polar" and not token.negated:
            negations = 0  # "not present" is "absent", and what follows is not denied
        if token is not None:
            tokens.append(token)
            dangling = dangling and since > _SCOPE
    conditional = bool(_CONDITION.match(text)) or (verb is not None and bool(_BOUND.match(text)))
    first, last = (opened[0], opened[-1]) if opened else (len(tokens), 0)
    marked = (replace(t, denied=dangling and n >= last, relative=n >= first) for n, t in enumerate(tokens))
    return Segment(tuple(marked), verb, dangling, conditional, text)


_SCOPE = 6  # words after "not" that it reaches within its segment


def _token(raw: str, negated: bool, segment: int) -> Token | None:
    if raw.startswith("<"):
        return Token("label", raw[1:-1], negated, segment)
    if _NUMBER.fullmatch(raw):
        return Token("number", raw.lstrip("+"), False, segment)
    if raw in _UNITS:
        return Token("unit", {"deg": "degree", "px": "pixel"}.get(raw, raw.removesuffix("s")), False, segment)
    root = stem(raw)
    if root in _POLAR:
        polar = _POLAR[root]
        if negated and polar[-1] in "+-":
            polar, negated = polar[:-1] + ("-" if polar[-1] == "+" else "+"), False
        return Token("polar", polar, negated, segment)
    if raw in GLUE or root in GLUE:
        return None
    return Token("word", root, negated, segment)
