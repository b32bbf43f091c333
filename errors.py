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
    │   ├── AddressRefused         input.address_refused
    │   ├── UnknownPerson          input.unknown_person
    │   ├── Undecodable            input.undecodable
    │   └── SignatureInvalid       signature.invalid
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
    ├── StoreError                 exit code 5: the store of enrolled people
    │   ├── StoreKeyUnavailable    store.key_unavailable
    │   └── StoreCorrupt           store.corrupt
    ├── ScreeningError             exit code 1: screening many photos; mostly the error of one row
    │   ├── PhotoTooSlow           screen.photo_too_slow
    │   ├── WorkerLost             screen.worker_lost
    │   ├── ClusterUnusable        screen.cluster_unusable
    │   └── WorkersDiffer          screen.workers_differ
    ├── RequestError               the HTTP API refuses a request
    │   ├── MalformedRequest       request.malformed
    │   ├── RequestTooLarge        request.too_large
    │   ├── RequestTooSlow         request.too_slow
    │   ├── NotAuthenticated       request.not_authenticated
    │   ├── NotPermitted           request.not_permitted
    │   ├── NotFound               request.not_found
    │   ├── NotFinished            request.not_finished
    │   ├── PicturesNotKept        request.pictures_not_kept
    │   ├── IdempotencyKeyReused   request.idempotency_key_reused
    │   └── TooManyRequests        request.too_many
    └── ServiceError               exit code 5: the HTTP API cannot serve
        ├── ServiceBusy            service.busy
        ├── DatabaseUnusable       service.database
        ├── DiskFull               service.disk_full
        ├── CertificateUnusable    service.certificate
        ├── NotInstalled           service.not_installed
        ├── JobLost                service.job_lost
        └── AuditBroken            service.audit_broken

``code`` is stable: it appears on the command line, in records and in the answers of the HTTP API. Messages are one
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


class AddressRefused(InputError):
    """An address whose protocol is not that of an object store."""

    code = "input.address_refused"


class UnknownPerson(InputError):
    """Nobody of that name is enrolled."""

    code = "input.unknown_person"


class Undecodable(InputError):
    """Decoding the image takes more memory or time than it may, or ends the decoder."""

    code = "input.undecodable"


class SignatureInvalid(InputError):
    """A record is not the one that was signed, or was signed with an unknown key."""

    code = "signature.invalid"


class NotAssessable(FacewitnessError):
    """No face that can be examined.

    Args:
        reason: One of ``none``, ``several``, ``too_small``, ``too_blurred``, ``turned_away``; the code is
            ``face.<reason>``.
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


class ScreeningError(FacewitnessError):
    """A photo among very many cannot be examined."""

    code = "screen.failed"


class PhotoTooSlow(ScreeningError):
    """The photo took longer than it may."""

    code = "screen.photo_too_slow"


class WorkerLost(ScreeningError):
    """The process that examines ended, each time it was tried."""

    code = "screen.worker_lost"


class ClusterUnusable(ScreeningError):
    """The Ray cluster does not answer, or gave up."""

    code = "screen.cluster_unusable"


class WorkersDiffer(ScreeningError):
    """A node of the cluster has another version of facewitness, other weights, or none."""

    code = "screen.workers_differ"


class RequestError(FacewitnessError):
    """The HTTP API refuses a request."""

    code = "request.refused"


class MalformedRequest(RequestError):
    """Body, parameter or header that is not as the API's description says."""

    code = "request.malformed"


class RequestTooLarge(RequestError):
    """The body has more bytes than the limit."""

    code = "request.too_large"


class RequestTooSlow(RequestError):
    """The body did not arrive in time."""

    code = "request.too_slow"


class NotAuthenticated(RequestError):
    """No API key, or one that is unknown, expired or revoked."""

    code = "request.not_authenticated"


class NotPermitted(RequestError):
    """The API key lacks the scope, or the request comes from another site's page."""

    code = "request.not_permitted"


class NotFound(RequestError):
    """Nothing of that name, or nothing that this API key may see."""

    code = "request.not_found"


class NotFinished(RequestError):
    """The examination has not ended yet."""

    code = "request.not_finished"


class PicturesNotKept(RequestError):
    """Pages and overlays were not asked for, or their time is over."""

    code = "request.pictures_not_kept"


class IdempotencyKeyReused(RequestError):
    """The same Idempotency-Key came with another request."""

    code = "request.idempotency_key_reused"


class TooManyRequests(RequestError):
    """Over the rate of this API key, or over the number of its unfinished examinations."""

    code = "request.too_many"


class ServiceError(FacewitnessError):
    """The HTTP API cannot serve."""

    code = "service.error"
    exit_code = 5


class ServiceBusy(ServiceError):
    """The queue is full."""

    code = "service.busy"


class DatabaseUnusable(ServiceError):
    """The database does not answer, or is of another release."""

    code = "service.database"


class DiskFull(ServiceError):
    """The disk on which the database lies is full."""

    code = "service.disk_full"


class CertificateUnusable(ServiceError):
    """Certificate or private key for Content Credentials cannot be used."""

    code = "service.certificate"


class NotInstalled(ServiceError):
    """The service lacks a package that the request takes."""

    code = "service.not_installed"


class JobLost(ServiceError):
    """The examination was begun several times and never ended."""

    code = "service.job_lost"


class AuditBroken(ServiceError):
    """A row of the audit log was altered, inserted or removed."""

    code = "service.audit_broken"
