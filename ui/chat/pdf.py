"""The verdict as a PDF of plain text, bars and one picture; nothing in it is live, and no markup is read."""

from __future__ import annotations

from io import BytesIO

from fpdf import FPDF
from PIL import Image

from ...agent.examine import Examination
from ...agent.record import Record
from .. import overlays
from ..api.signing import Signature
from ..page import STATUSES, measurement
from ..page import words as sentence_case
from ..wording import percent, sentences
from .panels import needed
from .text import words

INK, MUTED, RULE, ZONE = (20, 23, 28), (90, 98, 109), (218, 221, 226), (232, 234, 237)
MARGIN, WIDTH = 18.0, 174.0
_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "}
)


def document(examination: Examination, digest: str, signature: Signature) -> bytes:
    """The report.

    Args:
        examination: With one record.
        digest: SHA-256 of the record's canonical JSON, by which the PDF names what it was made from.
        signature: Of that record.
    """
    record, t = examination.records[0], words()["report"]
    pdf = _Page(record)
    pdf.head(examination)
    pdf.heading(t["deciding"])
    by_id = {item.id: item for item in record.evidence}
    for key in record.verdict.deciding:
        pdf.paragraph(f"[{key}] {by_id[key].finding}")
    for reason in record.verdict.reasons:
        pdf.paragraph(reason.text)
    pdf.heading(t["explanation"])
    for claims in sentences(record.explanation).values():
        pdf.paragraph(" ".join(f"{claim.text} [{', '.join(claim.evidence)}]" for claim in claims))
    pdf.heading(t["evidence"])
    for item in record.evidence:
        value = measurement(item) if item.status == "ok" else STATUSES[item.status]
        pdf.row(item.id, item.finding, value)
    pdf.heading(t["record"])
    for name, value in (
        (t["record"], record.id),
        (t["created"], record.created_at.isoformat(timespec="seconds")),
        (t["photo"], record.image.sha256),
        (t["digest"], digest),
        (t["signature"], f"{signature.algorithm}, {signature.key_id}, {signature.signed_at}"),
        (t["models"], ", ".join(f"{model.name} {model.version} ({model.licence})" for model in record.models)),
    ):
        pdf.row("", f"{name}: {value}", "")
    return bytes(pdf.output())


class _Page(FPDF):  # type: ignore[misc]  # untyped where it is not installed
    def __init__(self, record: Record) -> None:
        super().__init__(format="A4")
        self.set_margins(MARGIN, MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(True, 20)
        self.set_title(_plain(f"facewitness: {record.verdict.label}"))
        self.set_creator(record.software)
        self.set_creation_date(record.created_at)
        self._name = f"{words()['report']['title']} {record.id}"
        self.add_page()

    def footer(self) -> None:
        """Which record, which page."""
        self.set_y(-14)
        self._type(8, MUTED)
        self.cell(0, 4, _plain(f"{self._name}, {self.page_no()}/{{nb}}. {words()['verdict']['limits']}"))

    def head(self, examination: Examination) -> None:
        """The photo beside the label and its probabilities."""
        record = examination.records[0]
        picture = Image.fromarray(overlays.draw_faces(examination.photo.rgb, record))
        picture.thumbnail((900, 900))
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        self.image(buffer, x=MARGIN, y=MARGIN, w=62, h=70, keep_aspect_ratio=True)
        self.set_left_margin(MARGIN + 70)
        self.set_xy(MARGIN + 70, MARGIN)
        self._type(9, MUTED)
        self.multi_cell(0, 5, _plain(words()["report"]["title"]), new_x="LMARGIN", new_y="NEXT")
        self._type(22, INK, bold=True)
        self.multi_cell(0, 10, _plain(sentence_case(record.verdict.label)), new_x="LMARGIN", new_y="NEXT")
        if record.verdict.assessable:
            self._chances(record)
        else:
            self.paragraph(words()["verdict"]["unassessable"])
        self.set_left_margin(MARGIN)
        self.set_y(max(self.get_y(), MARGIN + 74))

    def _chances(self, record: Record) -> None:
        """A bar for each label over the zone in which no label is given."""
        across = WIDTH - 70
        for label, chance in sorted(record.verdict.probabilities.items(), key=lambda pair: -pair[1]):
            self._type(10, INK, bold=label == record.verdict.label)
            self.cell(across - 20, 6, _plain(sentence_case(label)))
            self.cell(20, 6, percent(chance), align="R", new_x="LMARGIN", new_y="NEXT")
            x, y = self.get_x(), self.get_y()
            self.set_fill_color(*ZONE)
            self.rect(x, y, across * needed(label), 3.5, "F")
            self.set_fill_color(*(INK if label == record.verdict.label else MUTED))
            self.rect(x, y + 1, max(across * chance, 0.2), 1.5, "F")
            self.set_draw_color(*INK)
            self.line(x + across * needed(label), y - 0.5, x + across * needed(label), y + 4)
            self.set_y(y + 6)
        self._type(8, MUTED)
        takes = words()["verdict"]["needed"].format(percent=percent(needed(next(iter(record.verdict.probabilities)))))
        self.multi_cell(0, 4, _plain(takes), new_x="LMARGIN", new_y="NEXT")

    def heading(self, text: str) -> None:
        """A heading; never the last line of a page."""
        if self.will_page_break(24):
            self.add_page()
        self.ln(4)
        self._type(12, INK, bold=True)
        self.multi_cell(0, 7, _plain(text), new_x="LMARGIN", new_y="NEXT")

    def paragraph(self, text: str) -> None:
        """Running text."""
        if text:
            self._type(10, INK)
            self.multi_cell(0, 5, _plain(text), align="L", new_x="LMARGIN", new_y="NEXT")
            self.ln(1)

    def row(self, key: str, text: str, value: str) -> None:
        """Evidence: its id, what was found, and the value."""
        self._type(8.5, INK)
        across = WIDTH - 10 - (34 if value else 0)
        height = max(
            self.multi_cell(width, 4.2, _plain(said), align="L", dry_run=True, output="HEIGHT")
            for width, said in ((across, text), (32, value or " "))
        )
        if self.will_page_break(height + 2):
            self.add_page()
        y = self.get_y()
        self.set_draw_color(*RULE)
        self.line(MARGIN, y, MARGIN + WIDTH, y)
        self.set_xy(MARGIN, y + 0.8)
        self.cell(10, 4.2, _plain(key))
        self.multi_cell(across, 4.2, _plain(text), align="L")
        self.set_xy(MARGIN + WIDTH - 32, y + 0.8)
        self.multi_cell(32, 4.2, _plain(value), align="R")
        self.set_xy(MARGIN, y + height + 1.8)

    def _type(self, size: float, colour: tuple[int, int, int], bold: bool = False) -> None:
        self.set_font("Helvetica", "B" if bold else "", size)
        self.set_text_color(*colour)


def _plain(text: str) -> str:
    """What PDF's own fonts can show: Latin-1; anything else becomes a question mark."""
    return text.translate(_PLAIN).encode("latin-1", "replace").decode("latin-1")
