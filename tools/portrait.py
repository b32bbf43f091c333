"""The one face of a photo that is meant to show one person: a reference, or a photo to enroll."""

from __future__ import annotations

from ..errors import InvalidReference, NotAssessable
from .detection import detect
from .face import FaceView
from .image import Photo
from .quality import assess

BYSTANDER_MAX = 0.5
"""A second face with more than this share of the largest one's side may be the one that is meant."""


def only_face(photo: Photo) -> FaceView:
    """The largest face, if it is plainly the one that is meant and good enough to compare with.

    Raises:
        InvalidReference: Several faces of similar size.
        NotAssessable: No face, or one that is too small, too blurred or turned away.
    """
    faces = detect(photo.rgb)
    if not faces:
        raise NotAssessable("none", "No face was found.")
    if len(faces) > 1 and faces[1].size > BYSTANDER_MAX * faces[0].size:
        raise InvalidReference("Several faces of similar size, so it is unclear who is meant: crop the photo.")
    view = FaceView(photo, faces[0])
    assess(view)
    return view
