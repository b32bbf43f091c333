"""Every benchmark in its published layout, made here in small, and the traps of each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from facewitness.errors import InvalidOption
from facewitness.evals.benchmarks import benchmarks, find
from facewitness.evals.benchmarks.facexbench import letter, said
from facewitness.evals.benchmarks.item import AUTHENTIC, FORGED, FORGERY, OTHER, PERSON, Item, limited
from facewitness.evals.pictures import material, read


def picture(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, 2 * shade % 256, 3)).save(path)


def dump(path: Path, held: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held), encoding="utf-8")
    return path


def items(name: str, data: Path, **switches: str) -> list[Item]:
    found = find(name).items(data, switches)
    assert [Item.from_json(json.loads(json.dumps(item.to_json()))) for item in found] == found
    return found


@pytest.mark.parametrize("name", sorted(benchmarks()))
def test_another_layout_is_refused_with_what_is_there(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "holiday" / "beach.bmp")
    with pytest.raises(InvalidOption) as refusal:
        find(name).items(tmp_path, {})
    assert "Expected:" in str(refusal.value) and "holiday/" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("deepfakebench", {"FF": {"FF-real": {"test": {"000": {"label": "FF-real"}}}}}),
        ("deepfakebench-mm", {"test": [{"path": "a"}]}),
        ("facexbench", {"questions": {"1": {"question_text": "?"}}}),
        ("hydrafake", [{"label": 1}]),
        ("x2dfd", {"images": ["a.png"]}),
    ],
)
def test_a_file_with_holes_is_refused_without_a_traceback(name: str, held: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="is not in the layout of"):
        items(name, dump(tmp_path / "real.json", held))


@pytest.mark.parametrize("name", sorted(benchmarks()))
def test_what_an_unknown_option_would_have_done_is_not_guessed(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="has no option colour"):
        find(name).items(tmp_path, {"colour": "red"})


@pytest.mark.parametrize("name", sorted(benchmarks()))
def test_every_benchmark_states_its_polarity_and_source(name: str) -> None:
    benchmark = find(name)
    assert benchmark.polarity and benchmark.source and benchmark.layout


def test_folder(tmp_path: Path) -> None:
    for name in ("real/a.jpg", "real/deep/b.png", "fake/c.webp", "fake/swap/d.jpg"):
        picture(tmp_path / name)
    (tmp_path / "fake" / "notes.txt").write_text("no picture")
    found = {item.id: item for item in items("folder", tmp_path)}
    assert {id_: item.positive for id_, item in found.items()} == {
        "real/a.jpg": False, "real/deep/b.png": False, "fake/c.webp": True, "fake/swap/d.jpg": True,
    }  # fmt: skip
    assert found["fake/swap/d.jpg"].method == "swap" and found["real/a.jpg"].truth == AUTHENTIC
    assert {item.truth for item in items("folder", tmp_path, kind="synthetic")} == {AUTHENTIC, "synthetic"}


def test_csv_takes_words_and_never_numbers(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(
        "path,label,person,references,split,method,group:gender\n"
        "a.jpg,real,ada,,val,,f\n"
        "b.jpg,fake,ada,,,swap,f\n"
        "c.jpg,a forgery of the person,bob,r1.jpg; r2.jpg,test,,\n",
        encoding="utf-8",
    )
    a, b, c = items("csv", table)
    assert (a.truth, a.split, a.groups) == (AUTHENTIC, "val", {"gender": "f"})
    assert (b.truth, b.method, b.cluster, b.positive) == (FORGED, "swap", "ada", True)
    assert (c.kind, c.truth, c.references, c.positive) == ("reference", FORGERY, ("r1.jpg", "r2.jpg"), False)
    table.write_text("path,label\na.jpg,1\n", encoding="utf-8")
    with pytest.raises(InvalidOption, match="line 2"):
        items("csv", table)


def vip_tree(root: Path) -> None:
    """Two identities, as the fork's code reads them."""
    for k in range(2):
        base = root / f"id{k}"
        for n in range(3):
            picture(base / "r_r_i" / f"id{k}_{n}" / "2.png", 10 * n + k + 1)
            picture(base / "r_r_i" / f"id{k}_{n}" / "real.png", 100 + 10 * n + k)
        picture(base / "r_r_d_i" / f"id{k}_0" / "2.png", 60 + k)
        picture(base / "r_fs_i" / f"id{k}_0_face" / "fake.png", 70 + k)
        picture(base / "r_fs_i" / f"id{k}_0_eyes" / "fake.png", 80 + k)
        picture(base / "r_efs_i" / f"id{k}_0" / "fake.png", 90 + k)


def test_vipguard_training_tree(tmp_path: Path) -> None:
    vip_tree(tmp_path / "FaceDATA" / "Training_Img")
    found = items("vipbench", tmp_path, references="2")
    assert Counter(item.truth for item in found) == {PERSON: 6, OTHER: 2, FORGERY: 6}
    assert Counter(item.method for item in found) == {"REAL": 6, "STRANGER": 2, "FS": 4, "EFS": 2}
    assert {item.person for item in found} == {"id0", "id1"}
    for item in found:
        # The published label is 0 for r_r_i and 1 for all else; here the person is positive.
        assert item.positive == ("r_r_i" in item.id)
        assert len(item.references) == 2
        assert all(f"/{item.person}/r_r_i/" in name and name.endswith("real.png") for name in item.references)
    assert items("vipbench", tmp_path / "FaceDATA" / "Training_Img", references="2")[0].references


def vip_row(image: str, yes: bool, mode: str = "cls") -> dict[str, Any]:
    ask = (
        "<|face_pad|><image>Please determine whether the person in the input image is VIP user. The face similarity "
        "between the input face and VIP user is 81/100. The face tokens are shown as follows, <|face_pad|> ."
    )
    said_ = "[Yes] The two images are of the same person." if yes else "[No] The two images are of different people."
    answer = f"<Conclusion>{said_}</Conclusion>\n" + ("<Analysis>\n</Analysis>" if mode == "exp" else "")
    return {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}], "images": [image]}


def test_vipguard_json(tmp_path: Path) -> None:
    vip_tree(tmp_path / "FaceDATA" / "Training_Img")
    base = "./FaceDATA/Training_Img/id0"
    rows = [vip_row(f"{base}/r_r_i/id0_{n}/2.png", True) for n in range(3)]
    rows += [vip_row(f"{base}/r_fs_i/id0_0_face/fake.png", False, mode) for mode in ("cls", "exp", "cls")]
    rows += [vip_row(f"{base}/r_r_d_i/id0_0/2.png", False)]
    file = dump(tmp_path / "FaceDATA" / "Stage3_training_json" / "id0.json", rows)
    found = items("vipbench", file)
    assert [item.truth for item in found] == [PERSON] * 3 + [FORGERY, OTHER]  # fakes repeat in the published files
    assert found[0].person == "id0" and len(found[0].references) == 3
    # References and pictures are found below the same root.
    assert material(found[0], tmp_path).references
    dump(file, [vip_row(f"{base}/r_r_i/id0_0/2.png", False)])
    with pytest.raises(InvalidOption, match="disagree"):
        items("vipbench", file)


def test_vipbench_manifest_and_method_folders(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "identity,path,family,method,split\nid0,r.png,REAL,,reference\nid0,a.png,REAL,,test\n"
        "id0,b.png,FS,simswap,test\nid0,c.png,EFS,sdxl,val\nid0,d.png,STRANGER,,test\n",
        encoding="utf-8",
    )
    found = {item.id: item for item in items("vipbench", tmp_path)}
    assert {id_: item.truth for id_, item in found.items()} == {
        "a.png": PERSON, "b.png": FORGERY, "c.png": FORGERY, "d.png": OTHER,
    }  # fmt: skip
    assert found["b.png"].method == "simswap" and found["b.png"].references == ("r.png",)
    assert found["c.png"].split == "val"
    manifest.write_text("identity,path,family\nid0,a.png,fake\n", encoding="utf-8")
    with pytest.raises(InvalidOption, match="FS, EFS"):
        items("vipbench", tmp_path)
    manifest.unlink()
    for name in ("reference/0.png", "real/1.png", "stranger/2.png", "simswap/3.png"):
        picture(tmp_path / "id7" / name)
    found = {Path(item.id).name: item for item in items("vipbench", tmp_path)}
    assert [found[f"{n}.png"].truth for n in (1, 2, 3)] == [PERSON, OTHER, FORGERY]


def deepfakebench(root: Path, frames: int = 5) -> Path:
    def video(label: str, name: str, folder: str) -> dict[str, Any]:
        paths = [f"{folder}\\frames\\{name}\\{n}.png" for n in (10, 2, *range(20, 20 + frames - 2))]
        for path in paths:
            picture(root / path.replace("\\", "/"), len(path))
        return {"label": label, "frames": paths}

    splits = {
        "FF-real": {"train": {}, "val": {"c23": {"001": video("FF-real", "001", "youtube")}},
                    "test": {"c23": {"000": video("FF-real", "000", "youtube")}, "c40": {}}},
        "FF-DF": {"train": {}, "val": {}, "test": {"c23": {"000_003": video("FF-DF", "000_003", "Deepfakes"),
                                                           "000": video("FF-DF", "000", "Deepfakes")}}},
    }  # fmt: skip
    return dump(root / "FaceForensics++.json", {"FaceForensics++": splits})


def test_deepfakebench(tmp_path: Path) -> None:
    file = deepfakebench(tmp_path)
    found = items("deepfakebench", file, frames="3")
    assert Counter((item.split, item.positive) for item in found) == {
        ("val", False): 3,
        ("test", False): 3,
        ("test", True): 6,
    }
    video = [item.images[0] for item in found if item.cluster == "FF-DF/000_003"]
    assert video == [f"Deepfakes/frames/000_003/{n}.png" for n in (2, 10, 20)]  # by number; written on Windows
    assert {item.method for item in found if item.positive} == {"FF-DF"}


def test_deepfakebench_takes_the_first_frames_as_published_or_spreads_them(tmp_path: Path) -> None:
    file = deepfakebench(tmp_path, frames=9)

    def numbers(**switches: str) -> list[int]:
        found = items("deepfakebench", file, frames="3", **switches)
        return [int(Path(item.images[0]).stem) for item in found if item.cluster == "FF-DF/000_003"]

    assert numbers() == [2, 10, 20]
    assert numbers(sampling="even") == [2, 21, 24]


def test_deepfakebench_groups_videos_by_their_folders_name_alone_as_published(tmp_path: Path) -> None:
    file = deepfakebench(tmp_path)
    videos = {switch: {item.video for item in items("deepfakebench", file, video=switch) if item.split == "test"}
              for switch in ("published", "path")}  # fmt: skip
    assert videos["published"] == {"000", "000_003"}  # a real and a forged video share a name
    assert len(videos["path"]) == 3


def test_deepfakebench_of_another_shape_is_refused(tmp_path: Path) -> None:
    file = dump(tmp_path / "x.json", {"FF-real": {"000": ["a.png"]}})
    with pytest.raises(InvalidOption, match="layout"):
        items("deepfakebench", file)


def test_deepfakebench_mm_judges_what_is_seen(tmp_path: Path) -> None:
    clip = tmp_path / "a" / "frames.mp4"
    clip.parent.mkdir()
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"mp4v"), 25, (32, 32))
    for shade in range(12):
        writer.write(np.full((32, 32, 3), 20 * shade, np.uint8))
    writer.release()
    rows = [{"path": "a", "video_label": 0, "audio_label": 1, "label": 1, "method": ["real-fake"]},
            {"path": "b", "video_label": 1, "audio_label": 0, "label": 1, "method": ["faceswap", "lip"]}]  # fmt: skip
    dump(tmp_path / "FakeAVCeleb.json", {"train": [], "val": [], "test": rows})
    found = items("deepfakebench-mm", tmp_path, frames="2", every="10")
    assert [item.truth for item in found] == [AUTHENTIC, AUTHENTIC, FORGED, FORGED]
    assert found[0].groups == {"voice": "cloned"} and found[2].method == "faceswap+lip"
    first, later = (cv2.imdecode(np.frombuffer(read(item.images[0], tmp_path), np.uint8), 1) for item in found[:2])
    assert later.mean() > first.mean() + 100


def test_lfw_pairs_in_both_forms(tmp_path: Path) -> None:
    for name in ("Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg", "Bob/Bob_0001.jpg"):
        picture(tmp_path / "lfw" / name)
    listed = ["2\t1", "Ada\t1\t2", "Ada\t1\tBob\t1", "Ada\t2\t1", "Bob\t1\tAda\t2"]
    (tmp_path / "pairs.txt").write_text("\n".join(listed), encoding="utf-8")
    found = items("lfw-pairs", tmp_path)
    assert [(item.fold, item.truth) for item in found] == [("0", PERSON), ("0", OTHER), ("1", PERSON), ("1", OTHER)]
    assert found[1].references == ("lfw/Ada/Ada_0001.jpg",) and found[1].images == ("lfw/Bob/Bob_0001.jpg",)
    assert len(items("lfw-pairs", tmp_path, folds="1")) == 2
    (tmp_path / "pairs.txt").write_text("\n".join(listed[:-1]), encoding="utf-8")
    with pytest.raises(InvalidOption, match="does not hold the 4 pairs"):
        items("lfw-pairs", tmp_path)
    (tmp_path / "pairs.txt").unlink()
    (tmp_path / "pairs.csv").write_text("fold,a,b,same\n3,Ada/Ada_0001.jpg,Ada/Ada_0002.jpg,1\n", encoding="utf-8")
    assert [(item.fold, item.positive) for item in items("lfw-pairs", tmp_path)] == [("3", True)]


def test_ow_ffa_bench(tmp_path: Path) -> None:
    for folder in ("dfd", "ma"):
        for name in ("a.jpg", "b.jpg"):
            picture(tmp_path / "benchmark" / folder / "imgs" / name)
    dump(tmp_path / "benchmark" / "dfd" / "dfd.json", {"a.jpg": "real", "b.jpg": "fake"})
    dump(tmp_path / "benchmark" / "ma" / "multiattack.json", {"a.jpg": ["real", "none"], "b.jpg": ["fake", "fgsm"]})
    found = items("ow-ffa-bench", tmp_path)
    assert [(item.groups["set"], item.truth, item.method) for item in found] == [
        ("dfd", AUTHENTIC, ""), ("dfd", FORGED, "dfd"), ("ma", AUTHENTIC, ""), ("ma", FORGED, "fgsm"),
    ]  # fmt: skip
    dump(tmp_path / "benchmark" / "dfd" / "dfd.json", {"a.jpg": "1"})
    with pytest.raises(InvalidOption, match="neither real nor fake"):
        items("ow-ffa-bench", tmp_path)


def test_hydrafake_tree_and_list(tmp_path: Path) -> None:
    for name in ("test/simswap/0_real/a.png", "test/simswap/1_fake/b.png", "test/sdxl/1_fake/c.png"):
        picture(tmp_path / name)
    found = {Path(item.id).name: item for item in items("hydrafake", tmp_path)}
    assert {name: item.truth for name, item in found.items()} == {"a.png": AUTHENTIC, "b.png": FORGED, "c.png": FORGED}
    assert found["c.png"].method == "sdxl"
    rows = [{"images": "test/simswap/0_real/a.png", "label": 0}, {"images": ["test/sdxl/1_fake/c.png"], "label": 1}]
    file = dump(tmp_path / "hydrafake_cm.json", rows)
    assert [item.groups["part"] for item in items("hydrafake", file)] == ["cross-model"] * 2
    dump(file, [{"images": "test/simswap/0_real/a.png", "label": 1}])
    with pytest.raises(InvalidOption, match="disagree"):
        items("hydrafake", file)


def fakeclue(image: str, label: int, said_: str) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>Does the image looks real/fake?"}, {"from": "gpt", "value": said_}]
    return {"image": image, "label": label, "cate": "deepfake", "width": 8, "height": 8, "conversations": turns}


def test_fakeclue_label_0_is_fake(tmp_path: Path) -> None:
    rows = [fakeclue("ff++/fake/Deepfakes/1.png", 0, "This image is fake. The nose …"),
            fakeclue("ff++/real/youtube/2.png", 1, "This is a real image.")]  # fmt: skip
    file = dump(tmp_path / "data_json" / "test.json", rows)
    assert [(item.truth, item.positive) for item in items("fakeclue", file)] == [(FORGED, True), (AUTHENTIC, False)]
    assert len(items("fakeclue", tmp_path, category="deepfake")) == 2
    for wrong in (fakeclue("x/fake/1.png", 1, ""), fakeclue("x/1.png", 1, "This image is fake.")):
        dump(file, [wrong])
        with pytest.raises(InvalidOption, match="0 is fake"):
            items("fakeclue", file)


def test_x2dfd_lists_carry_their_label_in_their_name(tmp_path: Path) -> None:
    dump(tmp_path / "test_real.json", {"Description": "/data", "images": [{"image_path": "a.png"}]})
    fake = dump(tmp_path / "test_fake.json", {"Description": "/data/", "images": [{"image_path": "a.png"}]})
    found = items("x2dfd", tmp_path)
    assert [(item.id, item.truth) for item in found] == [("test_fake/a.png", FORGED), ("test_real/a.png", AUTHENTIC)]
    assert items("x2dfd", fake, root="description")[0].images == ("/data/a.png",)
    fake.rename(tmp_path / "list.json")
    with pytest.raises(InvalidOption, match="set label"):
        items("x2dfd", tmp_path / "list.json")
    assert items("x2dfd", tmp_path / "list.json", label="real")[0].truth == AUTHENTIC


def test_dd_vqa(tmp_path: Path) -> None:
    answers = {"0": {"question": "Does the person look fake?", "answer": ["The person looks fake.", "it is real"]},
               "2": {"question": "Do the eyes look real?", "answer": ["blurry eyes", "eyes are blury"]}}  # fmt: skip
    dump(tmp_path / "DQ_FF++" / "test_set" / "Deepfakes" / "Deepfakes.json", {"0_953_974": answers})
    dump(tmp_path / "DQ_FF++" / "test_set" / "Original" / "Original.json", {"5_953": {"0": answers["0"]}})
    picture(tmp_path / "frames" / "Deepfakes" / "953_974.jpg")
    forged, eyes, real = items("dd-vqa", tmp_path)
    assert (forged.kind, forged.truth, forged.verdicts, forged.images) == (
        "choice", "B", ("0", "1"), ("frames/Deepfakes/953_974.jpg",),
    )  # fmt: skip
    assert (eyes.kind, len(eyes.targets), eyes.method) == ("text", 2, "Deepfakes")
    assert (real.truth, real.options) == ("A", ("real", "fake"))
    dump(tmp_path / "DQ_FF++" / "test_set" / "Original" / "Original.json", {"4_1": {"0": answers["0"]}})
    with pytest.raises(InvalidOption, match="not one of Original"):
        items("dd-vqa", tmp_path)


def facexbench(root: Path, sub: str, *questions: dict[str, Any]) -> Path:
    held = {"category": "fas_deepfakes", "sub-category": sub, "dataset": "ff++", "question_type": "MCQ",
            "num_images": "multiple", "prepend_text": "Deepfakes are fake.", "postpend_text": "Answer with a letter.",
            "questions": {str(n): question for n, question in enumerate(questions, 1)}}  # fmt: skip
    return dump(root / "benchmark" / "ff++_multiple_mcq.json", held)


def test_facexbench(tmp_path: Path) -> None:
    question = {
        "image_paths": ["images/q/question_1_1.png", "images/q/question_1_2.png"],
        "question_text": "Which images are deepfakes?",
        "options": ["Image 2", "Both", "None of the above", "Image 1"],
        "correct_answer_option": "A",
        "answer": "Image 2",
    }
    facexbench(tmp_path, "deepfakes", question)
    (item,) = items("facexbench", tmp_path)
    assert item.images[0] == "benchmark/images/q/question_1_1.png"
    assert (item.truth, item.verdicts) == ("A", ("01", "11", "*", "10"))
    assert item.question == "Deepfakes are fake.\nWhich images are deepfakes?\nAnswer with a letter."
    assert items("facexbench", tmp_path, prepend="no")[0].question.startswith("Which")
    facexbench(tmp_path, "fas", question)
    assert items("facexbench", tmp_path)[0].verdicts == ()
    with pytest.raises(InvalidOption):
        items("facexbench", tmp_path, category="tools_use")


@pytest.mark.parametrize(
    ("question", "options", "images", "meant"),
    [
        ("Which images are not deepfakes?", ("Image 2 and Image 3", "None of the above"), 3, ("100", "*")),
        ("Which image is real?", ("Image 2", "Image 1", "Both", "None"), 2, ("10", "01", "00", "11")),
        ("How many images are deepfakes?", ("1", "2", "0", "3"), 3, ("#1", "#2", "#0", "#3")),
        (
            "Which images are real and which are fake?",
            ("Images 1 and 3 are fake, Image 2 is real", "All images are real"),
            3,
            ("101", "000"),
        ),
        ("Are these images real or fake?", ("Both are real", "Image 1 is real, Image 2 is fake"), 2, ("00", "01")),
        ("Which images show fear?", ("red", "green"), 2, ()),
        ("Which images are deepfakes?", ("Image 9", "Image 1"), 2, ()),
    ],
)
def test_what_options_say_of_the_images(
    question: str, options: tuple[str, ...], images: int, meant: tuple[str, ...]
) -> None:
    assert said(question, options, images) == meant


@pytest.mark.parametrize(
    ("answer", "strict", "published"),
    [
        ("B", "B", "B"),
        ("(C)", "C", "C"),
        ("B. Because", "B", "B"),
        ("The answer is D", "D", "D"),
        ("A close look shows that happy is right", "B", "A"),
        ("happy", "B", "B"),
        ("happy or sad", None, "A"),
        ("I cannot say", None, None),
    ],
)
def test_letters_are_read_strictly_or_as_published(answer: str, strict: str | None, published: str | None) -> None:
    options = ("sad", "happy", "angry", "neutral")
    assert letter(answer, options) == strict
    assert letter(answer, options, published=True) == published


def test_action_unit_lists(tmp_path: Path) -> None:
    absent = [999] * 12
    lines = [{"img_path": "F001/T1/1.jpg", "AUs": [1, *absent[1:]]}, {"img_path": "F002/T1/1.jpg", "AUs": absent}]
    file = tmp_path / "BP4D_fold1_test.json"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    one, two = items("au-list", file)
    assert one.units["1"] == 1 and sum(one.units.values()) == 1 and one.cluster == "F001"
    assert list(one.units) == "1 2 4 6 7 10 12 14 15 17 23 24".split() and sum(two.units.values()) == 0
    with pytest.raises(InvalidOption, match="line 1"):
        items("au-list", file, set="disfa")
    file.write_text(json.dumps({"img_path": "a.jpg", "AUs": [2, *absent[1:]]}), encoding="utf-8")
    with pytest.raises(InvalidOption, match="in the order"):
        items("au-list", file)


@pytest.mark.parametrize("folder", ["Sequences(2D+3D)", "img", "imgs/BP4D", "images", "."])
def test_bp4d_leaves_out_what_was_not_coded(tmp_path: Path, folder: str) -> None:
    coding = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    coding.parent.mkdir(parents=True)
    coding.write_text("0,1,2,4,28\n2440,1,0,9,1\n2441,9,9,9,1\n2442,0,0,0,0\n45,0,1,0,0\n", encoding="utf-8")
    for frame in ("2440", "2441", "0045"):  # 2442 was not extracted, and one is written with leading zeros
        picture(tmp_path / folder / "F001" / "T1" / f"{frame}.jpg")
    found = items("bp4d", tmp_path)
    assert [(item.units, item.cluster, item.method) for item in found] == [
        ({"1": 1, "2": 0}, "F001", "T1"),  # unit 28 is none of the twelve
        ({"1": 0, "2": 1, "4": 0}, "F001", "T1"),
    ]
    assert found[1].images[0].endswith("F001/T1/0045.jpg")


def disfa(root: Path, **intensities: list[int]) -> None:
    folder = root / "ActionUnit_Labels" / "SN001"
    folder.mkdir(parents=True)
    for unit, of in intensities.items():
        lines = "".join(f"{line},{value}\n" for line, value in enumerate(of, 1))
        (folder / f"SN001_{unit}.txt").write_text(lines, encoding="utf-8")


def test_disfa_counts_from_intensity_two(tmp_path: Path) -> None:
    disfa(tmp_path, au1=[1, 5], au12=[2, 0])
    for frame in ("00001", "00002"):
        picture(tmp_path / "images" / "SN001" / f"{frame}.png")
    assert [item.units for item in items("disfa", tmp_path)] == [{"1": 0, "12": 1}, {"1": 1, "12": 0}]
    assert items("disfa", tmp_path, intensity="1")[0].units == {"1": 1, "12": 1}


def test_disfa_pictures_count_from_zero_and_lines_from_one(tmp_path: Path) -> None:
    disfa(tmp_path, au1=[5, 0, 0])
    for frame in (0, 1, 2):
        picture(tmp_path / "img" / "SN001" / f"{frame}.png")
    assert [(item.id, item.units["1"]) for item in items("disfa", tmp_path)] == [
        ("img/SN001/0.png", 1), ("img/SN001/1.png", 0), ("img/SN001/2.png", 0),
    ]  # fmt: skip
    shifted = items("disfa", tmp_path, first="1")
    assert [(item.id, item.units["1"]) for item in shifted] == [("img/SN001/1.png", 1), ("img/SN001/2.png", 0)]


def test_disfa_is_read_from_its_videos_where_no_picture_was_extracted(tmp_path: Path) -> None:
    disfa(tmp_path, au1=[0, 5])
    (tmp_path / "Videos_LeftCamera").mkdir()
    (tmp_path / "Videos_LeftCamera" / "LeftVideoSN001_comp.avi").write_bytes(b"")
    assert [(item.images, item.units["1"]) for item in items("disfa", tmp_path)] == [
        (("Videos_LeftCamera/LeftVideoSN001_comp.avi#0",), 0), (("Videos_LeftCamera/LeftVideoSN001_comp.avi#1",), 1),
    ]  # fmt: skip


def test_rafdb_list_and_folders(tmp_path: Path) -> None:
    labels = tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt"
    labels.parent.mkdir(parents=True)
    labels.write_text("train_00001.jpg 5\ntest_0001.jpg 4\ntest_0002.jpg 7\n", encoding="utf-8")
    picture(tmp_path / "basic" / "Image" / "aligned" / "test_0001_aligned.jpg")
    found = items("rafdb", tmp_path)
    assert [(item.truth, Path(item.images[0]).name) for item in found] == [
        ("happiness", "test_0001_aligned.jpg"), ("neutral", "test_0002.jpg"),
    ]  # fmt: skip
    picture(tmp_path / "other" / "test" / "1" / "a.jpg")
    assert items("rafdb", tmp_path / "other")[0].truth == "surprise"


def test_affectnet_annotations_and_folders(tmp_path: Path) -> None:
    for n, label in ((0, "1"), (1, "7")):
        picture(tmp_path / "val_set" / "images" / f"{n}.jpg")
        (tmp_path / "val_set" / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / "val_set" / "annotations" / f"{n}_exp.npy", np.array(label))
    assert [item.truth for item in items("affectnet", tmp_path)] == ["happiness", "contempt"]
    assert [item.truth for item in items("affectnet", tmp_path, classes="7")] == ["happiness"]
    np.save(tmp_path / "val_set" / "annotations" / "0_exp.npy", np.array([4]))  # some copies hold numbers
    assert [item.truth for item in items("affectnet", tmp_path)] == ["fear", "contempt"]
    picture(tmp_path / "folders" / "val" / "happy" / "a.jpg")
    assert items("affectnet", tmp_path / "folders")[0].truth == "happiness"


def test_affectnet_lists_as_poster_writes_them(tmp_path: Path) -> None:
    valid = tmp_path / "valid_set"
    picture(valid / "images" / "0.jpg")
    (valid / "valid_annotations_7class.txt").write_text("0.jpg 3\n", encoding="utf-8")
    (valid / "valid_annotations.txt").write_text("0.jpg 3\n1.jpg 7\n", encoding="utf-8")
    assert [(item.id, item.truth) for item in items("affectnet", tmp_path)] == [
        ("valid_set/images/0.jpg", "surprise"), ("valid_set/images/1.jpg", "contempt"),
    ]  # fmt: skip
    assert len(items("affectnet", tmp_path, classes="7")) == 1


def test_fairface_and_utkface_measure_false_alarms_by_group(tmp_path: Path) -> None:
    (tmp_path / "fairface_label_val.csv").write_text(
        "file,age,gender,race,service_test\nval/1.jpg,3-9,Male,East Asian,False\nval/2.jpg,20-29,Female,White,True\n",
        encoding="utf-8",
    )
    found = items("fairface", tmp_path)
    assert found[0].groups == {"gender": "Male", "age": "3-9", "race": "East Asian"} and not found[0].positive
    asked = items("fairface", tmp_path, ask="gender")[0]
    assert (asked.kind, asked.truth, asked.options) == ("class", "Male", ("Female", "Male"))
    for name in ("26_1_2_20170116174525125.jpg.chip.jpg", "61_0_20170109142408075.jpg", "notes_1_2.jpg"):
        picture(tmp_path / "utk" / name)
    young, old = items("utkface", tmp_path / "utk")
    assert young.groups == {"gender": "female", "age": "20-29", "race": "Asian"}
    assert old.groups == {"gender": "male", "age": "60-69", "race": "not stated"}  # some names lack the race


def test_a_limit_draws_the_same_samples_of_all_kinds() -> None:
    many = [Item(f"s{n}", "forgery", (), FORGED if n < 500 else AUTHENTIC) for n in range(1000)]
    few = limited(many, 60)
    assert len(few) == 60 and 20 < sum(item.positive for item in few) < 40
    assert limited(many[::-1], 60)[::-1] == few and limited(many, None) is many
    assert [item.id for item in limited(many, 30)] == [item.id for item in few if item in limited(many, 30)]


def test_pictures_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    with pytest.raises(Exception, match="outside"):
        read("../secret.png", tmp_path / "data")


def test_a_photo_says_nothing_about_itself(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "same.png", 1)
    picture(tmp_path / "b.png", 2)
    item = Item("s", "reference", ("a.png",), PERSON, references=("same.png", "b.png", "b.png"))
    assert len(material(item, tmp_path).references) == 1


@pytest.mark.data
def test_faces_that_no_detector_saw_are_laid_out_for_a_run(data: Path, tmp_path: Path) -> None:
    from facewitness.evals import held_out
    from facewitness.finetune.faces import ordered, split_of

    assert held_out.stylegan2(data, tmp_path) == {"real": 100, "fake": 50}
    found = items("folder", tmp_path, kind="synthetic")
    assert Counter(item.truth for item in found) == {AUTHENTIC: 100, "synthetic": 50}
    names = [f"train/fake/{path.name}" for path in (data / held_out.SET / "train" / "fake").iterdir()]
    order = ordered(names)
    assert {split_of(f"train/fake/{Path(item.id).name}", order) for item in found if item.positive} == {"test"}
