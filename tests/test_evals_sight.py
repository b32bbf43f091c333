"""The evaluation of the model that looks, on samples with known truth and models with known answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facewitness.agent.sight import FORGERY, REGIONS, Line, Look
from facewitness.agent.traces import LookWeights
from facewitness.agent.verdict import INCONCLUSIVE, REFERENCE_LABELS
from facewitness.evals import sight as evaluation
from facewitness.evals import (
    sight_blind,
    sight_expression,
    sight_figures,
    sight_flip,
    sight_forgery,
    sight_grounding,
    sight_reference,
    sight_regions,
    sight_samples,
    sight_scores,
    sight_speed,
)
from facewitness.evals.sight_asked import Asked, Kept
from facewitness.evals.sight_report import markdown
from facewitness.evals.sight_samples import Sets, faces
from facewitness.evals.sight_scores import Counted
from facewitness.evals.sight_sentences import altered, sentences, untouched
from facewitness.finetune.data import cues, phrasing, sight, store
from facewitness.finetune.data.catalogue import view_of
from facewitness.finetune.data.compose import Draft
from facewitness.finetune.data.sample import Sample, png
from facewitness.finetune.data.short import short
from facewitness.tools.alignment import align_wide
from facewitness.tools.detection import detect
from facewitness.tools.evidence import Evidence
from facewitness.tools.forensic_network import WEIGHTS
from facewitness.tools.image import RGBImage, load
from facewitness.tools.registry import FaceTool
from facewitness.tools.registry import tools as registered
from facewitness.tools.weights import card

PERSON, FAKED, ELSE = REFERENCE_LABELS
EACH = 20
WRONG = {
    "authentic": "manipulated",
    "manipulated": "authentic",
    "synthetic": "authentic",
    PERSON: ELSE,
    FAKED: PERSON,
    ELSE: PERSON,
    INCONCLUSIVE: "authentic",
    "neutral": "happiness",
    "happiness": "neutral",
    "woman": "man",
    "man": "woman",
}
Say = Callable[[Look, Sample | None], str]


class Standin:
    """Knows samples by their first picture, and answers by a function; nothing else is known of a picture."""

    def __init__(self, samples: Sequence[Sample], label: Say, words: Say) -> None:
        self._known = {faces(sample)[0].tobytes(): sample for sample in samples if sample.images}
        self._label, self._words = label, words
        self.asked = 0

    def probabilities(self, look: Look, faces: Sequence[RGBImage]) -> dict[str, float]:
        self.asked += 1
        label = self._label(look, self._known.get(faces[0].tobytes()))
        return {answer: 0.7 if answer == label else 0.1 for answer in look.answers}

    def write(
        self,
        look: Look,
        faces: Sequence[RGBImage],
        max_tokens: int = 128,
        stream: Callable[[str], None] | None = None,
    ) -> str:
        self.asked += 1
        text = self._words(look, self._known.get(faces[0].tobytes()))
        if stream:
            stream(text)
        return text


def right(look: Look, sample: Sample | None) -> str:
    return look.answers[0] if sample is None else sample.label


def wrong(look: Look, sample: Sample | None) -> str:
    return look.answers[0] if sample is None else WRONG[sample.label]


def blind(look: Look, sample: Sample | None) -> str:
    return look.answers[1]


def believing(look: Look, sample: Sample | None) -> str:
    """What the tool says, whatever the picture shows."""
    stated = re.search(r"altered is (\d\.\d\d)", look.prompt)
    return look.answers[1] if stated and float(stated[1]) > 0.5 else look.answers[0]


def taught(look: Look, sample: Sample | None) -> str:
    if sample is None:
        return f"{look.opening} nothing."
    if isinstance(look, sight_samples.Told):
        return sample.answer
    made = short(sample)
    assert made is not None
    return made.answer


def turned(look: Look, sample: Sample | None) -> str:
    """Calls altered what is not, and the other way round."""
    text = taught(look, sample).replace("an alteration", "AN").replace("no alteration", "an alteration")
    return text.replace("AN", "no alteration").replace("neutral expression", "happiness")


def silent(look: Look, sample: Sample | None) -> str:
    return "The verdict is authentic [e6]."


def asked(samples: Sequence[Sample], label: Say, words: Say = taught) -> Asked:
    return Asked(Standin(samples, label, words), Kept())


def picture(number: int) -> RGBImage:
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return np.kron(blocks, np.ones((64, 64, 1), np.uint8))


class Maker:
    """Samples as the engines make them, but for what they show; every one has a picture and a person of its own."""

    def __init__(self) -> None:
        self.number = 0

    def make(
        self,
        engine: str,
        split: str,
        source: str,
        label: str,
        shown: Mapping[str, Evidence | None],
        decides: Sequence[str],
        given: Sequence[Evidence] = (),
        **fields: Any,
    ) -> Sample:
        self.number += 1
        rng = np.random.default_rng(self.number)
        draft = Draft(given, shown, label, decides, rng)
        if engine in ("forgery", "reference"):
            first = phrasing.verdict(label, draft.decides, "summary", draft.brief, rng)
            claims = [first, *draft.looked(), *draft.restate(draft.given)]
        else:
            claims = draft.restate(list(draft.seen.values()))
        pictures = tuple(picture(1000 * self.number + k) for k in range(2 if engine == "reference" else 1))
        return draft.sample(
            claims, "answer_first", "plain", pictures=pictures, engine=engine, split=split, source=source,
            people=(f"person {self.number}",), question=fields.pop("question", "Is it so?"), label=label, **fields,
        )  # fmt: skip

    def forgery(self, split: str, source: str, made: str, told: float | None = None, ruined: bool = False) -> Sample:
        states = {name: made == "manipulated" and name == "nose" for name in REGIONS}
        states["eyes"] = made == "manipulated" and self.number % 2 == 0
        shown: dict[str, Evidence | None] = {name: sight.region(name, state) for name, state in states.items()}
        shown["generator"] = cues.item("generator", made == "synthetic")
        if ruined:
            shown = {name: sight.unreadable(name) for name in REGIONS}
        decides = {"synthetic": ["generator"], "manipulated": ["nose"], "authentic": ["nose"]}[made]
        regions = {name: None if item is None else item.value for name, item in shown.items()}
        contrary = told is not None and (told > 0.5) == (made == "authentic")
        return self.make(
            "forgery", split, source, INCONCLUSIVE if ruined else made, shown, ["nose"] if ruined else decides,
            [] if told is None else [stated(told)], conditions=("contradicting",) if contrary else (),
            truth={"made": made, "method": {"authentic": "real", "manipulated": "swap.alpha"}.get(made, source),
                   "regions": regions},
        )  # fmt: skip

    def reference(self, split: str, label: str) -> Sample:
        shown = {name: sight.region(name, label == FAKED and name == "nose") for name in REGIONS}
        shape = (
            "The eyes have the reference's proportions."
            if label != ELSE
            else "The eyes are wider than in the reference."
        )
        shown["eyes shape"] = Evidence("sight.eyes shape", "sight", shape, "differs" if label == ELSE else "alike")
        decides = ["nose"] if label == FAKED else ["eyes shape"]
        return self.make("reference", split, "frll", label, shown, decides, truth={"made": label, "method": "x"})

    def expression(self, split: str, source: str, label: str) -> Sample:
        smiles = label == "happiness"
        named = f"The face displays {'a neutral expression' if not smiles else label}."
        mouth = "The lip corners are pulled up." if smiles else "The mouth is at rest."
        shown = {
            "expression": Evidence("sight.expression", "sight", named, label),
            "mouth": Evidence("sight.mouth", "sight", mouth, smiles, numbers=(12,) if smiles else ()),
        }
        truth = {"expression": label, "units": {"AU12": 1.0} if smiles else {}}
        return self.make("expression", split, source, label, shown, ["expression"], truth=truth)

    def attribute(self, split: str, label: str) -> Sample:
        item = Evidence("sight.gender of the person", "sight", f"The person is a {label}.", label)
        shown = {"gender of the person": item}
        return self.make("attributes", split, "frll", label, shown, [], question="Is the person a man or a woman?")


def stated(probability: float) -> Evidence:
    text = f"The probability that the face was altered is {probability:.2f} at even odds."
    return Evidence("manipulation.face", "manipulation", text, probability, probability=probability)


@pytest.fixture(scope="module")
def sets() -> Sets:
    return Sets(
        *(tuple(_split(Maker(), split, size)) for split, size in (("fit", 2), ("calibration", 3), ("test", EACH)))
    )


def _split(maker: Maker, split: str, size: int) -> Iterator[Sample]:
    maker.number = {"fit": 0, "calibration": 10_000, "test": 20_000}[split]
    for number in range(size):
        told = 0.9 if number % 2 else 0.2
        for source, made in (
            ("frll", "authentic"),
            ("frll", "manipulated"),
            ("ffhq", "authentic"),
            ("stylegan2", "synthetic"),
        ):
            yield maker.forgery(split, source, made, told)
        for label in REFERENCE_LABELS:
            yield maker.reference(split, label)
        for source, label in (("ict", "happiness"), ("ict", "neutral"), ("lfw", "happiness"), ("lfw", "neutral")):
            yield maker.expression(split, source, label)
        yield maker.attribute(split, "woman" if number % 4 else "man")
    for _ in range(3):
        yield maker.forgery(split, "frll", "manipulated", ruined=True)


def value(found: Mapping[str, Any]) -> float:
    return float(found["value"])


@pytest.fixture(scope="module")
def tools(sets: Sets) -> Kept:
    """Readings that are known, as the pictures here show no face: the likeness is right, the detectors guess."""
    kept = Kept()
    for number, sample in enumerate(sets.test + sets.calibration):
        drawn = np.random.default_rng(number).uniform(0.3, 0.7, 3).tolist()
        likeness = {PERSON: 0.8, FAKED: 0.5}.get(sample.label, 0.1)
        kept.value(f"detectors {card(WEIGHTS).sha256} {sample.id}", lambda drawn=drawn: drawn)
        kept.value(f"cosine {card('sface').sha256} {sample.id}", lambda likeness=likeness: likeness)
    return kept


def test_tools_measure_the_picture_itself(astronaut: Path) -> None:
    rgb = load(astronaut).rgb
    crop = align_wide(rgb, detect(rgb)[0].points, 256)
    made = replace(Maker().reference("test", PERSON), images=(png(crop), png(crop)))
    found = sight_scores.detectors([made], Kept())
    view, measures = view_of(crop), (registered()[name] for name in ("manipulation", "synthesis", "morph"))
    said = [tool.measure(view, [])[0].probability for tool in measures if isinstance(tool, FaceTool)]
    assert found[0].tolist() == said
    assert np.isfinite(sight_scores.fused(found)).all()
    assert sight_scores.similarities([made], Kept())[0] == pytest.approx(1)
    assert sight_scores.fused(np.full((1, 3), np.nan)).tolist() == [0]


@pytest.mark.parametrize(("label", "area", "accuracy"), [(right, 1, 1), (wrong, 0, 0), (blind, 0.5, 1 / 3)])
def test_forgery_figures_are_those_of_the_answers(
    sets: Sets, tools: Kept, label: Say, area: float, accuracy: float
) -> None:
    found = sight_forgery.forgery(asked(sets.test + sets.calibration, label), sets, tools)
    parts = found["auc"]["model"]
    assert set(parts) == {"all", "mean over sources", "of frll", "of stylegan2", "by swap", "by stylegan2"}
    assert {value(of) for of in parts.values()} == {area}
    answered = found["three-way, as answered"]["accuracy, labels weighing alike"]
    assert value(answered) == pytest.approx(accuracy, abs=1e-3)
    assert found["pictures"] == {"authentic": 2 * EACH, "manipulated": EACH, "synthetic": EACH}
    assert value(found["called inconclusive"]["of those blurred beyond use"]["share"]) == (label is right)
    assert value(found["called inconclusive"]["of those that can be seen"]["share"]) == 0


def test_both_follow_the_model_that_is_right_and_the_tools_are_read_from_the_picture(sets: Sets, tools: Kept) -> None:
    found = sight_forgery.forgery(asked(sets.test + sets.calibration, right), sets, tools)
    assert value(found["auc"]["both"]["all"]) == 1
    gain = found["auc, less the tools alone"]["both"]["all"]
    assert value(gain) == pytest.approx(1 - value(found["auc"]["tools"]["all"]), abs=1e-3)
    unseen = sight_forgery.forgery(asked(sets.test + sets.calibration, blind), sets, tools)
    assert unseen["auc"]["tools"] == found["auc"]["tools"]
    assert unseen["pictures without a reading of the tools"] == found["pictures without a reading of the tools"]


def test_the_verdict_counts_the_model_as_much_as_fusion_does(sets: Sets, tools: Kept) -> None:
    areas = {}
    for weight in (0.0, 5.0):
        weighed = Counted(Line(1, 0), LookWeights("x", weight, (0.9, 0.9, 0.9), (0, 0)))
        areas[weight] = sight_forgery.forgery(asked(sets.test + sets.calibration, right), sets, tools, weighed)["auc"]
    assert areas[0.0]["verdict"] == areas[0.0]["tools"]
    assert value(areas[0.0]["tools"]["all"]) < 0.7 < value(areas[5.0]["verdict"]["all"])


@pytest.mark.parametrize(("label", "area", "accuracy"), [(right, 1, 1), (wrong, 0, 0), (blind, 0.5, 1 / 3)])
def test_reference_figures_are_those_of_the_answers(
    sets: Sets, tools: Kept, label: Say, area: float, accuracy: float
) -> None:
    found = sight_reference.reference(asked(sets.test + sets.calibration, label), sets, tools)
    assert value(found["auc of the same person"]["model"]["all"]) == pytest.approx(area, abs=1e-3)
    assert value(found["three-way accuracy, labels weighing alike"]["model, as answered"]) == pytest.approx(
        accuracy, abs=1e-3
    )
    assert value(found["auc of the same person"]["similarity"]["all"]) == 1
    assert value(found["three-way accuracy, labels weighing alike"]["similarity"]) == 1


def test_regions_are_read_from_the_sentences(sets: Sets) -> None:
    found = sight_regions.regions(asked(sets.test, right), sets, 1000)
    altered_pictures = found["manipulated pictures"]
    assert found["always named by the guess"] == "nose"
    assert value(altered_pictures["f1"]["model"]) == value(altered_pictures["the first named is altered"]["model"]) == 1
    eyes = sum(sample.truth["regions"]["eyes"] == "altered" for sample in sight_samples.of(sets.test, "forgery"))
    assert value(altered_pictures["f1"]["guess"]) == pytest.approx(2 * EACH / (2 * EACH + eyes), abs=1e-3)
    reversed_ = sight_regions.regions(asked(sets.test, right, turned), sets, 1000)["manipulated pictures"]
    assert value(reversed_["f1"]["model"]) == value(reversed_["the first named is altered"]["model"]) == 0
    assert value(reversed_["f1, model less guess"]) == pytest.approx(-value(altered_pictures["f1"]["guess"]), abs=1e-3)


def test_expression_units_and_attributes_are_read_from_the_sentences(sets: Sets) -> None:
    found = sight_expression.expression(asked(sets.test, right), sets, 1000)
    for source in ("ict", "lfw"):
        assert value(found[source]["accuracy"]["model"]) == value(found[source]["macro f1"]["model"]) == 1
        assert value(found[source]["accuracy"]["guess"]) == 0.5
    units = found["action units of renders"]
    assert value(units["f1"]["model"]) == 1
    assert value(units["f1"]["guess"]) == pytest.approx(2 / 3, abs=1e-3)
    one_sided = sight_expression.expression(asked(sets.test, right, turned), sets, 1000)
    assert one_sided["ict"]["confusion"]["neutral"] == {"happiness": 0, sight_expression.OTHER: EACH}
    assert value(one_sided["ict"]["accuracy"]["model"]) == 0.5
    gender = sight_expression.attributes(asked(sets.test, right), sets, 1000)["gender"]
    assert value(gender["accuracy"]["model"]) == 1
    assert value(gender["accuracy"]["guess"]) == pytest.approx(
        EACH / 4 / EACH, abs=1e-3
    )  # the fit split has a man first


def test_a_model_that_looks_falls_when_blinded_and_one_that_does_not_stays(sets: Sets) -> None:
    looking = sight_blind.blind(asked(sets.test, right), sets, 1000)
    told = looking["forgery, picture and evidence"]
    for part in (looking["forgery, picture alone"], told, looking["reference, picture alone"]):
        assert value(part["auc"]["seen"]) == 1 and value(part["auc"]["blanked"]) == 0.5
        assert value(part["auc"]["seen less blanked"]) == 0.5
        assert value(part["auc"]["swapped"]) < 0.7
    contrary = told["accuracy where the evidence contradicts the truth"]
    assert contrary["pictures"] == 2 * EACH and value(contrary["seen"]) == 1
    reading = sight_blind.blind(asked(sets.test, believing), sets, 1000)["forgery, picture and evidence"]
    for fall in ("seen less blanked", "seen less swapped"):
        assert value(reading["auc"][fall]) == 0
    assert value(reading["accuracy where the evidence contradicts the truth"]["seen"]) == 0
    shown = looking["expression, picture alone"]["accuracy"]
    assert value(shown["seen"]) == 1 and value(shown["blanked"]) == 0


def test_swapped_pictures_are_those_of_another_person(sets: Sets) -> None:
    samples = sight_samples.of(sets.test, "forgery")
    exchanged = sight_samples.swapped(samples)
    own = {faces(sample)[0].tobytes(): sample.people[0] for sample in samples}
    others = [own[exchanged(sample)[0].tobytes()] for sample in samples]
    assert sorted(others) == sorted(own.values())
    assert all(other != sample.people[0] for other, sample in zip(others, samples, strict=True))


def test_who_believes_the_tools_follows_a_changed_value_and_who_looks_resists(sets: Sets) -> None:
    believer = sight_flip.flip(asked(sets.test, believing), sets, 1000, 4)
    assert believer["pictures"] == 4 * EACH
    assert believer["conclusion followed"]["pictures"] == 4 * EACH
    assert value(believer["conclusion followed"]) == value(believer["log odds moved towards the changed value"]) == 1
    assert value(believer["right where it followed"]) == 0.5  # half of the values were wrong before
    looker = sight_flip.flip(asked(sets.test, right), sets, 1000, 4)
    assert value(looker["conclusion followed"]) == 0
    assert looker["conclusion followed"]["pictures"] == 2 * EACH
    assert value(looker["right where it resisted"]) == 1
    assert looker["texts"] == {"the changed value": 0, "the value before": 4, "neither": 0}


def test_a_changed_prompt_differs_in_one_value() -> None:
    sample = Maker().forgery("test", "frll", "authentic", told=0.2)
    one = sight_flip.flipped(sample)
    assert one is not None and one.forged
    assert one.sample.prompt == sample.prompt.replace("0.20", "0.80")
    assert sight_flip.flipped(Maker().forgery("test", "frll", "authentic", told=0.5)) is None
    assert sight_flip.flipped(Maker().forgery("test", "frll", "authentic")) is None


def test_sentences_are_counted_by_what_the_check_says(sets: Sets) -> None:
    found = sight_grounding.grounded(asked(sets.test, right), sets, EACH, EACH)
    assert set(found) == {*sight_grounding.ENGINES, "forgery, with evidence", "reference, with evidence"}
    for part in found.values():
        assert value(part["before"]["supported"]["share"]) == 1
        assert part["after"] == {"sentences": part["sentences"], "not supported": 0, "answers without a sentence": 0}
    only = Sets((), (), tuple(sight_samples.of(sets.test, "forgery")))
    told = sight_grounding.grounded(asked(only.test, right, silent), only, 1000, 0)["forgery"]
    assert told["before"]["contradicted"]["sentences"] == 2 * EACH  # called authentic, and is not
    assert told["before"]["cited wrongly"]["sentences"] == 2 * EACH  # cites what it does not rest on
    reversed_ = sight_grounding.grounded(asked(only.test, right, turned), only, 1000, 0)["forgery"]
    verdicts = 4 * EACH
    assert reversed_["before"]["supported"]["sentences"] >= verdicts
    assert reversed_["before"]["contradicted"]["sentences"] >= verdicts
    assert reversed_["after"]["not supported"] == 0


def test_an_answer_is_cut_into_sentences_with_their_citations() -> None:
    text = (
        "The verdict is manipulated [e2]. The eyes and the outline of the face show an alteration [e1, e5]. The nose sh"
    )
    said = [(claim.text, claim.evidence) for claim in sentences(text)]
    assert said == [
        ("The verdict is manipulated.", ("e2",)),
        ("The eyes and the outline of the face show an alteration.", ("e1", "e5")),
        ("The nose sh", ()),
    ]
    assert altered("The outline of the face and the eyes show an alteration [e1].") == ["outline", "eyes"]
    assert altered("The nose shows no alteration [e1].") == []
    assert untouched("The nose shows no alteration [e1].") == ["nose"]


def test_f1_leaves_out_what_is_not_known_and_weighs_people() -> None:
    truth = np.array([[True, False], [True, True]])
    said = np.array([[True, True], [False, True]])
    clear = np.array([[True, False], [True, True]])
    once = np.ones((1, 2))
    assert sight_figures.f1(truth, said, once)[0] == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert sight_figures.f1(truth, said, once, clear)[0] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert sight_figures.f1(truth, said, np.array([[1.0, 0.0]]), clear)[0] == 1
    given = np.array(["a", "b", "a", "a"])
    assert sight_figures.macro_accuracy(np.array(["a", "a", "a", "b"]), given, np.ones((1, 4)))[0] == pytest.approx(
        1 / 3
    )


def test_equal_questions_are_asked_once_also_by_a_later_run(sets: Sets, tmp_path: Path) -> None:
    sample, file = sets.test[0], tmp_path / "answers.jsonl"
    model = Standin(sets.test, right, taught)
    first = Asked(model, Kept(file))
    said = [first.probabilities(FORGERY, faces(sample)).tolist() for _ in range(2)]
    text = first.write(FORGERY, faces(sample))
    assert model.asked == 2 and dict(first.questions) == {"probabilities": 1, "words, at most 128": 1}
    later = Asked(Standin((), wrong, silent), Kept(file))
    assert [later.probabilities(FORGERY, faces(sample)).tolist()] * 2 == said
    assert later.write(FORGERY, faces(sample)) == text
    assert later.probabilities(FORGERY, sight_samples.blank(sample)).tolist() == [0.7, 0.1, 0.1, 0.1]


def test_sets_are_read_and_every_section_is_written_and_shown(sets: Sets, tools: Kept, tmp_path: Path) -> None:
    store.write(tmp_path, [*sets.fit, *sets.calibration, *sets.test])
    read = sight_samples.load([tmp_path], 1000)
    assert [sample.id for sample in read.test] == [sample.id for sample in sets.test]
    assert {len(sample.images) for sample in read.fit} == {0}
    few = sight_samples.load([tmp_path], 5)
    assert len(sight_samples.of(few.test, "forgery")) == len(sight_samples.of(few.test, "reference")) == 5
    model = asked(read.test + read.calibration, right)
    result = {"model": {"sha256": "0" * 64}, **evaluation.measured(model, read, tools, 100)}
    result["speed"] = sight_speed.speed(model.model, read)
    shown = markdown(result)
    for title in ("Forged or not", "The same person", "Altered regions", "Expression", "Attributes", "Blind", "Speed"):
        assert f"**{title}" in shown
    assert result["speed"]["forgery"]["answers"] == sight_speed.REPEATS
    assert "nan" not in shown
