"""Every error facewitness raises on purpose, in one tree.

    FacewitnessError
    ├── InputError                 exit code 2: the caller can mend it
    │   ├── UnreadableFile         input.unreadable
    │   ├── NotAnImage             input.not_an_image
    │   ├── UnsupportedFormat      input.unsupported_format
    │   ├── TruncatedImage         input.truncated
    │   ├── AnimatedImage          input.animated
    │   ├── FileTooLarge           input.file_too_large
    │   ├── TooManyPixels          input.too_many_pixels
    │   ├── InvalidOption          input.invalid_option
    │   ├── InvalidReference       input.invalid_reference
    │   └── UnknownPerson          input.unknown_person
    ├── NotAssessable              exit code 3: the photo has no face that can be examined
    ├── WeightsError               exit code 4
    │   ├── WeightsMissing         weights.missing
    │   ├── WeightsMismatch        weights.mismatch
    │   └── WeightsRefused         weights.refused
    ├── ToolError                  exit code 4: becomes an evidence item, never ends an examination
    │   ├── NotMeasurable          tool.not_measurable
    │   └── ToolUnavailable        tool.unavailable
    ├── ModelError                 exit code 4: language model; the templated text takes over
    │   ├── ModelUnavailable       model.unavailable
    │   └── ModelAnswerInvalid     model.answer_invalid
    └── StoreError                 exit code 5: the store of enrolled people
        ├── StoreKeyUnavailable    store.key_unavailable
        └── StoreCorrupt           store.corrupt

``code`` is stable: it appears on the command line and in records. Messages are one
line, written for a person, and never carry a traceback or a path that the caller did not give.
"""

from __future__ import annotations


class FacewitnessError(Exception):
    """Root of the tree.

    Attributes:
        code: Stable identifier, ``area.reason``.
        exit_code: What the command line exits with.
    """

    code = "facewitness.error"
    exit_code = 1


class InputError(FacewitnessError):
    """The caller's input cannot be used."""

    code = "input.invalid"
    exit_code = 2


class UnreadableFile(InputError):
    """The file does not exist or may not be read."""

    code = "input.unreadable"


class NotAnImage(InputError):
    """The bytes are not an image."""

    code = "input.not_an_image"


class UnsupportedFormat(InputError):
    """An image, but not JPEG, PNG or WEBP."""

    code = "input.unsupported_format"


class TruncatedImage(InputError):
    """The image data end too early or are damaged."""

    code = "input.truncated"


class AnimatedImage(InputError):
    """More than one frame."""

    code = "input.animated"


class FileTooLarge(InputError):
    """More bytes than the limit."""

    code = "input.file_too_large"


class TooManyPixels(InputError):
    """More pixels, or a longer side, than the limit."""

    code = "input.too_many_pixels"


class InvalidOption(InputError):
    """An option has a value that cannot be used."""

    code = "input.invalid_option"


class InvalidReference(InputError):
    """A reference photo shows no face that can be compared."""

    code = "input.invalid_reference"


class UnknownPerson(InputError):
    """Nobody of that name is enrolled."""

    code = "input.unknown_person"


class NotAssessable(FacewitnessError):
    """No face that can be examined.

    Args:
        reason: One of ``none``, ``too_small``, ``too_blurred``, ``turned_away``; the code is ``face.<reason>``.
        message: What was measured and what would be needed.
    """

    exit_code = 3

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = f"face.{reason}"


class WeightsError(FacewitnessError):
    """Model weights cannot be had."""

    code = "weights.error"
    exit_code = 4


class WeightsMissing(WeightsError):
    """Not present, and no source could deliver them."""

    code = "weights.missing"


class WeightsMismatch(WeightsError):
    """The bytes do not have the registered sha256."""

    code = "weights.mismatch"


class WeightsRefused(WeightsError):
    """A format or a licence that is not accepted."""

    code = "weights.refused"


class ToolError(FacewitnessError):
    """A forensic tool gives no measurement; the message says why."""

    code = "tool.failed"
    exit_code = 4


class NotMeasurable(ToolError):
    """The photo does not allow this measurement."""

    code = "tool.not_measurable"


class ToolUnavailable(ToolError):
    """The tool is not installed or its weights are missing."""

    code = "tool.unavailable"


class ModelError(FacewitnessError):
    """The language model gives no usable answer."""

    code = "model.failed"
    exit_code = 4


class ModelUnavailable(ModelError):
    """The language model is not installed or its server does not answer."""

    code = "model.unavailable"


class ModelAnswerInvalid(ModelError):
    """The language model answered in a form that cannot be read."""

    code = "model.answer_invalid"


class StoreError(FacewitnessError):
    """The store of enrolled people cannot be used."""

    code = "store.error"
    exit_code = 5


class StoreKeyUnavailable(StoreError):
    """The encryption key is missing or not protected."""

    code = "store.key_unavailable"


class StoreCorrupt(StoreError):
    """A stored template fails authentication."""

    code = "store.corrupt"
