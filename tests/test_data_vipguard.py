"""VIPGuard's JSON: read as published, written so that it reads the same, and its two polarities kept apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facewitness.agent.verdict import REFERENCE_LABELS
from facewitness.errors import InvalidOption
from facewitness.finetune.data import vipguard
from facewitness.finetune.data.sample import MODES, Mode, Sample
from facewitness.tools.evidence import Evidence

PERSON, FORGERY, OTHER = REFERENCE_LABELS


def sample(label: str, mode: Mode, cosine: float | None = 0.5) -> Sample:
    evidence = [Evidence("sight.mouth", "sight", "The mouth shows an alteration.", "altered", id="e1")]
    if label != FORGERY:
        evidence = [Evidence("sight.mouth", "sight", "The mouth shows no alteration.", "untouched", id="e1")]
    evidence.append(
        Evidence("sight.nose shape", "sight", "The nose is wider than in the reference.", "differs", id="e2")
    )
    if cosine is not None:
        finding = f"Cosine similarity to the reference photo is {cosine:.2f}."
        evidence.append(Evidence("identity.similarity", "identity", finding, cosine, "cosine", id="e3"))
    fields = {"engine": "reference", "split": "fit", "source": "frll", "people": ("a",), "images": (b"png", b"other")}
    return Sample(
        **fields,
        question="?",
        prompt="<image><image>?",
        answer="",
        mode=mode,
        form="plain",
        label=label,
        claims=(),
        evidence=tuple(evidence),
        given=("e3",),
    )


def row(folder: str, answer: str, score: int = 74) -> dict[str, object]:
    ask = (
        "<|face_pad|><image>Please determine whether the person in the input image is VIP user. The face similarity "
        f"between the input face and VIP user is {score}/100. The face tokens are shown as follows, <|face_pad|> . "
        "You need to make a step-by-step judgment based on different facial attributes and provide your conclusion."
    )
    messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "images": [f"./FaceDATA/Training_Img/id0/{folder}/id0_10/2.png"]}


PUBLISHED = (
    "<Reasoning>\nOkay, here is the comparison:\n1.  Outer face region:\n    [No] Both show a square face.\n"
    "2.  **Eye region:** [Yes] The eye type differs.\n"
    "6.  Overall facial description:\n    [Yes] The expression differs.\n"
    "</Reasoning>\n<Conclusion>{}</Conclusion>\n"
)
SAME, DIFFERENT = "[Yes] The two images are of the same person.", "[No] The two images are of different people."


def read(tmp_path: Path, *rows: dict[str, object]) -> list[vipguard.Row]:
    file = tmp_path / "id0.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    return vipguard.read(file)


def test_published_rows_are_read_with_both_polarities(tmp_path: Path) -> None:
    same, swapped = read(tmp_path, row("r_r_i", PUBLISHED.format(SAME), 92), row("r_fs_i", PUBLISHED.format(DIFFERENT)))
    assert (same.mode, same.score, same.same, same.label) == ("reason_first", 92, True, PERSON)
    assert (swapped.same, swapped.label) == (False, FORGERY)
    for one in (same, swapped):
        differs = {name: differs for name, (differs, _) in one.regions.items()}
        assert differs == {"outer face": False, "eye": True, "overall facial": True}
    assert same.regions["eye"][1] == "The eye type differs."


@pytest.mark.parametrize(("folder", "label"), [("r_r_d_i", OTHER), ("r_efs_i", FORGERY)])
def test_only_the_folder_tells_a_stranger_from_a_forgery(folder: str, label: str, tmp_path: Path) -> None:
    found = read(tmp_path, row(folder, f"<Conclusion>{DIFFERENT}</Conclusion>\n"))[0]
    assert (found.label, found.mode) == (label, "answer")


def test_an_answer_against_its_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="disagree"):
        read(tmp_path, row("r_r_i", f"<Conclusion>{DIFFERENT}</Conclusion>\n"))
    with pytest.raises(InvalidOption, match="layout"):
        read(tmp_path, {"messages": []})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("label", REFERENCE_LABELS)
def test_what_is_written_reads_the_same(label: str, mode: Mode, tmp_path: Path) -> None:
    assert vipguard.write(tmp_path, [sample(label, mode)]) == 1
    found = vipguard.read(tmp_path / "fit.json")[0]
    assert (found.mode, found.label, found.same) == (mode, label, label == PERSON)
    assert found.score == vipguard.score(0.5) == 75
    assert (tmp_path / found.images[0]).read_bytes() == b"png"
    if mode != "answer":
        assert found.regions["nose"] == (True, "The nose is wider than in the reference.")
        assert found.regions["mouth"][0] is (label == FORGERY)
        assert found.regions["skin"][0] is False


def test_without_a_similarity_there_is_no_row() -> None:
    assert vipguard.row(sample(PERSON, "answer", None), "x.png") is None
    assert vipguard.row(sample("inconclusive", "answer"), "x.png") is None
