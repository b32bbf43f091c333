"""What a question is after, by rules: the embedded model cannot call tools, and a question is data, never obeyed.

The first rule that matches decides, so the order matters: what must be declined comes first, what is said of one part
of the face before what is said of the whole. ``docs/design/conversation.md`` says how much of questions that the rules
were not written for they recognise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .. import relevance
from ..policy import Attribute

Kind = Literal[
    "sensitive",
    "identification",
    "cited",
    "compare",
    "would_change",
    "not_measured",
    "scale",
    "zoom",
    "part",
    "faces",
    "size",
    "other_face",
    "provenance",
    "why",
    "checked",
    "verdict",
    "topic",
    "scope",
]

PARTS = {
    "mouth": r"mouth|lips?\b|teeth|tooth",
    "nose": r"nose|nostril",
    "left_eye": r"left (?:eye|brow)\w*|left side.{0,12}eye",
    "right_eye": r"right (?:eye|brow)\w*",
    "skin": r"skin|cheeks?\b|forehead|complexion",
    "hairline": r"hair ?line|hair\b",
    "boundary": r"boundary|contour|outline|edges?\b|jaw|chin|border",
}
"""Words for the parts that the map of alterations is read on. Left and right are the person's."""
_EYES = re.compile(r"\b(?:eyes?|(?:eye)?brows?|eyelids?)\b")

_PERSON = r"(?:he|she|they|him|her|this (?:person|man|woman|guy|girl|boy|lady|face)|the (?:person|man|woman|guy|girl))"
_LOOKS = rf"(?:(?:is|are|does|do|looks?|seems?|appears?) (?:{_PERSON}|like)\b.*)"
_SENSITIVE: dict[Attribute, str] = {
    "age": rf"\bhow (?:old|young) (?:is|are|was|does|do|would)\b(?!.{{0,12}}(?:photo|picture|image|file|shot))"
    r"|\bwhat age|\b(?:over|under) \d\d\b(?! ?%)|\bages?\b|years? old|date of birth"
    rf"|{_LOOKS}\b(?:young|old|elderly|minor|child|teenager|adult)\b",
    "gender": rf"gender|\bsex\b|\b(?:male|female)\b|\b(?:man or|woman or|boy or|girl or)\b"
    rf"|\bis {_PERSON} (?:really )?an? (?:man|woman|boy|girl)|transgender",
    "ethnicity": rf"ethnic|\brac(?:e|ial)\b|nationalit|heritage|ancestry|skin colou?r|descent"
    rf"|where (?:is|are|does) {_PERSON} .*from|what country|\b(?:is|are|was) {_PERSON} from\b"
    rf"|{_LOOKS}\b(?:black|white|asian|african|european|arab|latin\w*|hispanic|indian|chinese|caucasian)\b",
    "health": rf"health|disease|illness|diagnos|pregnan|autis|depress|medical|disab|syndrome|obes|overweight|addict"
    rf"|{_LOOKS}\b(?:sick|ill|drunk|high|on drugs|unwell|tired|fat|thin)\b",
    "sexual orientation": rf"\bgay\b|lesbian|homosexual|bisexual|heterosexual|\bqueer\b|orientation of {_PERSON}"
    rf"|sexual|lgbt|\bis {_PERSON} straight\s*\??$",
    "attractiveness": rf"attractive|beaut|handsome|\bugly\b|good[- ]looking|\bsexy\b|\bcute\b|\bhot\b"
    rf"|{_LOOKS}\bpretty\s*\??$|\bis {_PERSON} pretty\b|how pretty",
    "personality": r"personalit|honest|\bliar\b|intelligen|\bsmart\b|\biq\b|introvert|extrovert|character trait"
    rf"|character of {_PERSON}|{_LOOKS}\b(?:kind|friendly|nice|lying|mean|trustworthy)\b",
    "criminality": r"criminal|\bcrimes?\b|thief|terroris|dangerous|guilty|convict|murder|offender|prison|gangster",
    "beliefs": r"religio|muslim|christian|jewish|hindu|atheis|politic|\bvotes?\b|republican|democrat|conservative\b",
}
_WHO = (
    rf"\bwho (?:is|are|was) (?:this|that|it|in|on|{_PERSON})|\bwho'?s (?:this|that|he|she|it|in)|\bwhose face"
    rf"|^who\b.{{,6}}$"
    r"|\b(?:his|her|their|the (?:person|man|woman)'?s) name"
    r"|\bname (?:of )?(?:the|this|that) (?:person|man|woman|face)"
    rf"|\b(?:recogni[sz]e|identify|name) {_PERSON}|\bidentify (?:the|this)|\bwho (?:am i|this|he|she|they)\b"
    r"|celebrity|famous|\bwhat is (?:he|she) called"
)
_CLAIMED = (
    r"\b(?:is|was|are)(?:n'?t)? (?:it|this|that|he|she|they)(?: really)? (?:who|the (?:person|one|man|woman))\b"
    r".{0,12}\b(?:claim|say|said|pretend|suppose|should|meant)"
)
"""Asks whether a claim is true, and for no name: "is she who she says she is?"."""
_NAMED = re.compile(r"\b[Ii]s (?:this|that|it|he|she)(?: really| actually)? [A-Z][\w'-]+(?: [A-Z][\w'-]+)+")
_COMPARE = (
    r"\bcompar(?:e|ed|ing|ison)\b|same (?:person|man|woman|guy|girl|lady|boy|child|face|individual|one|as)\b"
    r"|\bmatch(?:es)?\b|\breferences?\b"
    r"|(?:another|second|other|different|this new|2nd) (?:photo|picture|image|shot)|how (?:similar|alike)|resembl"
    r"|likeness|similar(?:ity)? to|the person (?:it|he|she) (?:is )?claim|\b(?:these|the) two\b|really (?:him|her)\b"
    # "Is it her?", and not "is it her nose that was altered?"
    r"|\b(?:is|was|are|could|can|might)(?:n'?t)? (?:it|this|that|these|those)(?: (?:be|actually|truly|still|not|both))*"
    r" (?:him|her|them|the (?:person|one))(?=\W*$| (?:or|in|on|at|from|again|at all)\b)"
    r"|(?:are|is) (?:they|these|those|both|it) (?:both )?the same\W*$"
    r"|\b(?:is|was) (?:it|this|that|he|she)\b.{0,30}\b(?:someone|somebody) else\b"
    r"|\b(?:is|was) (?:it|this|that|he|she) a(?:nother|(?: completely)? different) (?:person|man|woman|guy|girl|boy)\b"
)
_COMPARE_NAME = re.compile(
    r"\b(?:compare|check|match|test)\b.*?\b(?:with|to|against)\s+(?:(?:the )?enrolled (?:person )?)?[\"'“]?"
    r"(?P<name>[^\"'”?.!,]{1,60})",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"\b(?:photos?|pictures?|images?|references?|one|ones|this|that|it|him|her|each other|other|another|shot|face)\b",
    re.IGNORECASE,
)

_CHANGE = (
    r"chang\w* (?:your|the|its|this) (?:mind|opinion|verdict|view|conclusion|answer|decision|result)|convince"
    r"|persuade"
    r"|\bsway|reconsider|overturn|\bflip\b|a different (?:verdict|conclusion|answer|result)"
    r"|what (?:else |more |other )?(?:would|could|might|do|does|will) (?:you|it|be)\b.*\b(?:need|take|make|requir|want)"
    r"|what (?:else|additional|further|more|other|kind of|sort of)\b.*\b(?:evidence|information|proof|data|help|need)"
    r"|(?:be|become|make you|feel) (?:more )?(?:sure|certain|confident|decisive)|threshold|what if\b|\bsuppose"
    r"|help you decide|balance|settle"
    r"|what could (?!you)|(?:definit|clear)\w* (?:answer|verdict|result)|how much (?:higher|lower|more|less)"
    r"|how (?:close|far|near)\b.*\b(?:from|to)\b|(?:at|from|above|below) (?:what|which) (?:score|value|point|level)"
    r"|\b(?:when|under (?:what|which)|in which)\b.*\b(?:would|could) (?:you|it|the verdict)"
    r"|\bwould\b.*\b(?:help|chang|settle|prove)"
    r"|\b(?:which|what)\b.*\bwould\b.*\b(?:have )?(?:ma[dk]e|give[ns]?|lead)\b"
)
_MISSING = (
    r"\bnot (?:been |be )?(?:measur|check|examin|test|assess|look|analy|cover|consider|work)"
    r"|(?:could|did|can|was|were|do|does)(?:n'?t| not| you not)(?: you)?(?: be)? "
    r"(?:measur|check|examin|test|assess|see\b|look|analy|cover|consider|read|inspect|work)"
    r"|cannot (?:measure|check|see|examine)|unable to (?:measure|check|see)|unmeasured|\bmissing\b"
    r"|left (?:out|undone)"
    r"|leave .*\bout\b|limitation|\blimits\b|blind spot|\bgaps?\b|\bfail(?:ed|s)?\b|\bskip|overlook|not available"
    r"|unavailable|don'?t you know|uncertaint|unknown|could not read|unclear|\bnot run|\bunable"
    r"|outside (?:of )?what|\bremain"
)
_SCALE = re.compile(
    r"\b(?:half|twice|double|quarter|(?:small|larg|bigg|low|high|reduc)\w* (?:size|resolution|scale|version)"
    r"|rescal\w*|resiz(?:e|ed|ing) (?:it|the)|downscal\w*|upscal\w*|shr[iu]nk\w*|scales?\b|\d{2,3} ?%|different size)"
)
_DO_AGAIN = re.compile(
    r"\b(?:run|try|repeat|test|hold|surviv\w*|detect\w*|check|again|same|result|verdict|rescal|do it|if you|scor)\b"
)
_ZOOM = (
    r"\bzoom|clos(?:er|ely)\b|close-?up|magnif|enlarg|\binspect|in (?:more |greater |full )?detail|careful|"
    r"full resolution|\bfocus on|(?:look|examine|check|measure)\b.*\bagain|\bre-?(?:examin|check|measur|inspect)"
    r"|(?:second|another|better) look|blow up|once more|go over"
)
_DOUBT = (
    r"alter|manipul|chang|edit|\bfak|suspicio|wrong|\boff\b|odd|strange|weird|touch|tamper|modif|swap|replac|differ"
    r"|done to|\bmap\b|\bwhy\b|forg|real|authentic|photoshop|believ|think|say about|find|found|(?:what|how) about"
    r"|more about|blend|natural|artefact|artifact|trace|explain|reading"
)
_WHERE = (
    r"\b(?:which|what) (?:part|region|area|feature|place)s?\b(?!.*\b(?:not|analysis|report|examination)\b)"
    r"|\bwhere\b.*\b(?:alter|manipul|edit|chang|forg|fak|trace|suspicio|swap|retouch)|most (?:suspicious|altered)"
)
_WHY = (
    r"\bwhy\b|how come|\breasons?\b|reasoning|explain|what made you|grounds|basis|evidence|justif|led you|based on"
    r"|rests? on|how (?:did|do|can) you (?:decide|conclude|get|come|arrive|know|tell|reach)|walk me|your thinking"
    r"|decid|decisive|convinc|support|elaborate|what tells you|tell me more|makes? you|break it down|establish"
    r"|how was|which \w+ decid|tipp?(?:ed|s|ing)? the|don'?t (?:get|understand)"
)
_CHECKED = (
    r"what (?:did|have|do|can) you (?:check|measure|look|do\b|examin|test|analy)"
    r"|(?:which|what) (?:tools?|tests?|method"
    r"|measurements?|detectors?)|how do(?:es)? (?:you|this|it) work|what (?:was|were) (?:measured|checked|examined)"
)
_VERDICT = (
    r"\bfak|\breal\b|authentic|genuine|deep ?fake|manipul|\bedit|photoshop|forg|generat|\bai\b|synth|verdict|result"
    r"|conclusion|conclude|trust|bottom line|\bsure\b|certain|confiden|likel|probab|legit|tamper|alter|doctor|retouch"
    r"|morph|swap|true\b|your (?:opinion|ruling|judg)|summar|inconclusive|believe|catfish|mess(?:ed|ing)|scam|fooled"
    r"|hoax|fraud|paste|midjourney|diffusion|dall-?e|computer|filter|made up|exist|\banswer\b"
)
_FACES = (
    r"how many (?:faces|people|persons|men|women|heads)"
    r"|(?:anyone|anybody|someone|somebody|other people) else\b.*\b(?:in|on)\b"
    r"|\b(?:is|are) there (?:any )?(?:other|more|another|several|two|second) (?:faces?|persons?|people)\b"
)
_PEOPLE = r"(?:faces?|persons?|people|m[ae]n|wom[ae]n|guys?|girls?|boys?|lady|ladies)"
_OTHER = (
    rf"\b(?:the|that|those|any|all|his|her|their|in) other {_PEOPLE}\b|\banother face\b|\b(?:both|all)(?: the)? faces\b"
    rf"|\b(?:second|third|fourth|2nd|3rd|4th|next|remaining) {_PEOPLE}\b|\bface (?:number |no\.? ?|#)?[2-9]\b"
    rf"|\bf[2-9]\b(?!\.\d)|\b{_PEOPLE} (?:behind|beside|next to) (?:him|her|them)\b|\b{_PEOPLE} in the background\b"
)
_SIZED = r"(?:(?:the|this|that|his|her|their) )?(?:face|head|photo|picture|image|it)"
_SIZE = (
    rf"\bhow (?:big|large|small|wide|tall) (?:is|was) {_SIZED}\b"
    rf"|\bhow many (?:mega)?pixels (?:(?:wide|tall|high|large|big|across) )?(?:is|was|has|does) {_SIZED}\b"
    rf"|\b(?:sizes?|dimensions?|width|height|resolution)(?: in pixels)? (?:of|is|was|has|does) {_SIZED}\b"
    rf"|\b{_SIZED} (?:big|large|wide) enough\b"
    r"|\b(?:face|head|photo|picture|image)(?:'?s)? (?:size|dimensions|resolution)\b"
)
_FILE = (
    r"metadata|\bexif\b|camera\b|(?:what|which) (?:phone|device)|capture (?:time|date)|re-?encod|when did"
    r"|software|program\b|c2pa|content credential|provenance|photoshop\b"
    r"|sign(?:ed|ature)|jpe?g|compress|\bfile\b|\bwhen\b.*\b(?:taken|made|shot|created|photographed|saved)"
    r"|\b(?:taken|date|dated|captured|saved|screenshot|thumbnail)\b(?! (?:her|him|them)\b)"
    r"|how old is (?:this|the) (?:photo|picture|image|file)"
    r"|where (?:does|did|is) (?:it|this|the (?:photo|picture|image|file))\b.*(?:from|taken)"
)


@dataclass(frozen=True, slots=True)
class Intent:
    """What a question is after.

    Attributes:
        kind: See the table of rules.
        parts: Parts of the face that are meant; for ``part``, none asks which of them stand out.
        attribute: What is asked of the person, for ``sensitive``.
        name: Who is named for a comparison.
        scale: Of the photo, for ``scale``.
        cited: Ids of evidence that are named.
    """

    kind: Kind
    parts: tuple[str, ...] = ()
    attribute: Attribute | None = None
    name: str | None = None
    scale: float | None = None
    cited: tuple[str, ...] = ()


def understand(question: str) -> Intent:
    """What a cleaned question is after; ``scope`` if it is about nothing that is known here."""
    asked = " ".join(question.lower().replace("’", "'").split())
    parts = parts_of(asked)
    for attribute, words in _SENSITIVE.items():
        if re.search(words, asked):
            return Intent("sensitive", parts, attribute)
    if (re.search(_WHO, asked) and not re.search(_CLAIMED, asked)) or _NAMED.search(question):
        return Intent("identification")
    if cited := tuple(dict.fromkeys(re.findall(r"\be\d{1,3}\b", asked))):
        return Intent("cited", parts, cited=cited)
    return _told(question, asked, parts)


def _told(question: str, asked: str, parts: tuple[str, ...]) -> Intent:
    if name := _name(question):
        return Intent("compare", parts, name=name)
    if re.search(_WHY, asked) and re.search(r"which \w+ (?:decid|tip)", asked):
        return Intent("why")
    if re.search(_CLAIMED, asked) or (re.search(_COMPARE, asked) and not re.search(_CHANGE, asked)):
        return Intent("compare", parts)
    if _SCALE.search(asked) and _DO_AGAIN.search(asked):
        return Intent("scale", parts, scale=_scale(asked))
    if not parts and re.search(_WHERE, asked):
        return Intent("part")
    for kind, words, needs_part in _RULES:
        if (parts or not needs_part) and re.search(words, asked):
            return Intent(kind, parts)
    # "Is it …?" is taken for a question of identity there; without a word of comparison it may be about anything.
    topics = relevance.tools_for(asked) - {"identity"}
    if topics - {*relevance.FORENSIC}:
        return Intent("topic", parts)
    if re.search(_WHY, asked):
        return Intent("why")
    if topics or re.search(_VERDICT, asked):
        return Intent("verdict")
    return Intent("part", parts) if parts else Intent("scope")


_RULES: tuple[tuple[Kind, str, bool], ...] = (
    ("would_change", _CHANGE, False),
    ("faces", _FACES, False),
    ("other_face", _OTHER, False),
    ("zoom", _ZOOM, False),
    ("not_measured", _MISSING, False),
    ("checked", _CHECKED, False),
    ("part", _DOUBT, True),
    ("size", _SIZE, False),
    ("provenance", _FILE, False),
)


def parts_of(asked: str) -> tuple[str, ...]:
    """The parts of the face that are named; both eyes where no side is."""
    found = [name for name, words in PARTS.items() if re.search(rf"\b(?:{words})", asked)]
    if _EYES.search(asked) and not {"left_eye", "right_eye"} & set(found):
        found += ["left_eye", "right_eye"]
    return tuple(found)


def _name(question: str) -> str | None:
    """Somebody to compare with by name, as in "compare it with Anna Berg"."""
    found = _COMPARE_NAME.search(question)
    name = re.sub(r"\s+(?:please|now|thanks|too)$", "", found["name"].strip()) if found else ""
    return name if name and not _NO_NAME.search(name) else None


def _scale(asked: str) -> float:
    """Of both sides; a half where only "smaller" is said."""
    if percent := re.search(r"(\d{2,3}) ?%", asked):
        return int(percent[1]) / 100
    if re.search(r"twice|double|larg|bigg|upscal|high", asked):
        return 2.0
    return 0.25 if "quarter" in asked else 0.5
