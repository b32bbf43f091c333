"""The commands for enrolled people: ``enroll``, ``people`` and ``forget``."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FacewitnessError
from .progress import working

if TYPE_CHECKING:
    from ..agent.people.person import Person, Template


Name = Annotated[str, typer.Argument(help="Name of the person; upper and lower case are the same.")]


def enroll(
    name: Name,
    photos: Annotated[list[Path], typer.Argument(help="Photos of this person, JPEG, PNG or WEBP.")],
    keep_photos: Annotated[bool, typer.Option("--keep-photos", help="Store the photos too, encrypted.")] = False,
) -> None:
    """Enroll a person, or add photos to one. Only encrypted face features are kept, never the photos unless asked."""
    from ..agent.people.store import PeopleStore

    store = PeopleStore()
    with working("Reading the photos") as say:
        templates = []
        for number, path in enumerate(photos, 1):
            say(f"Reading photo {number} of {len(photos)}")
            templates.append(_template(path, keep_photos))
    person = store.enroll(name, templates, keep_photos=keep_photos)
    typer.echo(f"{person.name} is enrolled with {photo_count(person.templates)}.")
    _warn_of_disagreement(store.templates(name))


def people(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List who is enrolled."""
    from ..agent.people.store import PeopleStore

    found = PeopleStore().people()
    if as_json:
        import json

        typer.echo(json.dumps([_row(person) for person in found], ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("Nobody is enrolled.")
    for person in [] if as_json else found:
        line = f"{person.name}, {photo_count(person.templates)}, since {person.created_at:%Y-%m-%d}"
        typer.echo(f"{line}, adapter of {person.adapter.created_at:%Y-%m-%d}" if person.adapter else line)


def forget(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Forget a person: every stored trace is removed and cannot be brought back."""
    from ..agent.people.store import PeopleStore

    if not yes:
        typer.confirm(f"Forget {name} for good?", abort=True)
    PeopleStore().forget(name)
    typer.echo(f"{name} is forgotten.")


def _row(person: Person) -> dict[str, Any]:
    """For JSON."""
    row: dict[str, Any] = {"name": person.name, "photos": person.templates, "created_at": person.created_at.isoformat()}
    row["adapter"] = None
    if held := person.adapter:
        row["adapter"] = {
            "created_at": held.created_at.isoformat(),
            "photos": len(held.photos),
            "validated": held.validated,
            "weights_sha256": held.weights_sha256,
        }
    return row


def _template(path: Path, keep_photo: bool) -> Template:
    from ..agent.people.person import Template
    from ..tools import weights
    from ..tools.image import load
    from ..tools.portrait import only_face

    try:
        photo = load(path)
        view = only_face(photo)
        return Template(view.feature, photo.sha256, weights.card("sface"), photo.data if keep_photo else None)
    except FacewitnessError as error:
        error.args = (f"{path.name or path}: {error}",)
        raise


def _warn_of_disagreement(templates: list[Template]) -> None:
    from ..tools.identity import SAME_PERSON_MIN, similarity

    newest = [t.feature for t in templates if t.model == templates[-1].model]
    least = min((similarity(a, b) for a, b in combinations(newest, 2)), default=1.0)
    if least < SAME_PERSON_MIN:
        typer.echo(
            f"Warning: two of the photos have a cosine similarity of {least:.3f}, below {SAME_PERSON_MIN}: they may "
            "show different people. If so, forget the name and enroll again.",
            err=True,
        )


def photo_count(count: int) -> str:
    """In words."""
    return "1 photo" if count == 1 else f"{count} photos"
