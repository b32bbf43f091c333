"""Pictures of people whom no shipped detector saw in training or calibration, laid out for ``facewitness eval``.

Run: ``python -m facewitness.evals.held_out --data PATH --out DIR``

Writes ``stylegan2/`` for ``eval folder``, and ``london/list.csv`` for ``eval csv``: the Face Research Lab London set,
whose people agreed to altered forms, with a neutral photo as the reference and the smiling one in question, forgeries
of it with their masks, and look-alikes. All its pictures are saved alike. ``units/``, for ``eval bp4d``, has all people
of that set in BP4D's layout: smiling on request is taken for action units 6 and 12. The folder stays on the machine.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..agent.verdict import REFERENCE_LABELS
from ..finetune.comparisons import Volunteer, volunteers
from ..finetune.faces import ordered, split_of
from ..finetune.forge import REFERENCE_METHODS, Side, forge
from ..tools.image import RGBImage
from .benchmarks.item import read_csv

SET, LONDON = "stylegan2_vs_ffhq", "frll_london"
POSED = (6, 12)
"""Action units of a smile: cheeks raised, lip corners pulled."""
FOLDERS = {"real": "real", "fake": "fake/stylegan2"}
QUALITY = 95
PERSON, FORGERY, OTHER = REFERENCE_LABELS
COLUMNS = ("path", "label", "person", "references", "method", "mask", "group:gender", "group:ethnicity")


def stylegan2(data: Path, out: Path) -> dict[str, int]:
    """Copy the test split of StyleGAN2's and FFHQ's faces; returns how many of each."""
    rows, copied = read_csv(data / SET / "labels.csv"), {}
    for authenticity, folder in FOLDERS.items():
        names = [row["image"] for row in rows if row["authenticity"] == authenticity]
        order = ordered(names)
        chosen = [name for name in names if split_of(name, order) == "test"]
        (out / folder).mkdir(parents=True, exist_ok=True)
        for name in chosen:
            shutil.copyfile(data / SET / name, out / folder / Path(name).name)
        copied[authenticity] = len(chosen)
    return copied


def london(data: Path, out: Path) -> dict[str, int]:
    """Write the test split of the London set with forgeries and look-alikes; returns how many of each label."""
    people = [person for person in volunteers(data) if person.split == "test"]
    out.mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys(REFERENCE_LABELS, 0)
    with (out / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for person in people:
            for row in _of_one(person, people, out):
                writer.writerow(row)
                counts[row["label"]] += 1
    return counts


def units(data: Path, out: Path) -> dict[str, int]:
    """Copy the London set in BP4D's layout; returns how many photos of each expression.

    No parameter of the action units is fitted on these photos. The labels are what people were asked to show, not what
    a coder saw; other units are not coded.
    """
    counts: dict[str, int] = {}
    (out / "AU_OCC").mkdir(parents=True, exist_ok=True)
    for row in read_csv(data / LONDON / "labels.csv"):
        task = row["expression"]
        if not row["image"].startswith(task):  # other sets in it: other cameras, composites
            continue
        folder = out / "images" / row["identity"] / task
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / LONDON / row["image"], folder / "1.jpg")
        shown = str(int(task == "smiling"))
        with (out / "AU_OCC" / f"{row['identity']}_{task}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["frame", *POSED], ["1", *(shown for _ in POSED)]])
        counts[task] = counts.get(task, 0) + 1
    return counts


def _of_one(person: Volunteer, people: Sequence[Volunteer], out: Path) -> Iterator[dict[str, str]]:
    """The person's own smiling photo, its forgeries with one partner, and two look-alikes."""
    rng = np.random.default_rng(int(person.name))
    reference = _save(out, f"{person.name}/neutral.jpg", person.neutral.photo.rgb)
    groups = dict(zip(("group:gender", "group:ethnicity"), person.group, strict=True))
    common = {"person": person.name, "references": reference, **groups}
    smiling = _save(out, f"{person.name}/smiling.jpg", person.smiling.photo.rgb)
    yield {**common, "path": smiling, "label": PERSON}
    near = [other for other in people if other is not person and other.group[0] == person.group[0]]
    donor = near[int(rng.integers(len(near)))].smiling
    side, other_side = (Side(view.photo.rgb, view.mesh.points) for view in (person.smiling, donor))
    for method in REFERENCE_METHODS:
        made = forge(method, side, other_side, seed=int(rng.integers(2**31)))
        path = _save(out, f"{person.name}/{method}.jpg", made.image)
        mask = f"{person.name}/{method}.mask.png"
        cv2.imwrite(str(out / mask), np.rint(255 * np.asarray(made.mask, np.float32)).astype(np.uint8))
        yield {**common, "path": path, "label": FORGERY, "method": method, "mask": mask}
    alike = [other for other in near if other.group == person.group] or near
    for place in rng.choice(len(alike), min(2, len(alike)), replace=False):
        other = alike[int(place)]
        path = _save(out, f"{person.name}/as-{other.name}.jpg", other.smiling.photo.rgb)
        yield {**common, "path": path, "label": OTHER, "method": "look-alike"}


def _save(out: Path, name: str, rgb: RGBImage) -> str:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    bgr: Any = np.ascontiguousarray(rgb[..., ::-1])
    cv2.imwrite(str(out / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return name


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with stylegan2_vs_ffhq and frll_london")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(stylegan2(options.data, options.out / "stylegan2"))
    print(london(options.data, options.out / "london"))
    print(units(options.data, options.out / "units"))


if __name__ == "__main__":
    main()
