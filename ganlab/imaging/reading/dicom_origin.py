"""Who and what a DICOM series shows: the attributes that a series made from it has to repeat."""

from __future__ import annotations

import mmap
import re
import warnings
from pathlib import Path

from ganlab.imaging.reading.dicom_elements import Elements, elements
from ganlab.imaging.volume import Origin

CHARACTER_SET = 0x00080005
UIDS = {0x0020000D: "StudyInstanceUID", 0x0020000E: "SeriesInstanceUID", 0x00200052: "FrameOfReferenceUID"}
KEPT = UIDS | {
    0x00080020: "StudyDate",
    0x00080030: "StudyTime",
    0x00080050: "AccessionNumber",
    0x00080090: "ReferringPhysicianName",
    0x00081030: "StudyDescription",
    0x00100010: "PatientName",
    0x00100020: "PatientID",
    0x00100021: "IssuerOfPatientID",
    0x00100030: "PatientBirthDate",
    0x00100040: "PatientSex",
    0x00101010: "PatientAge",
    0x00101020: "PatientSize",
    0x00101030: "PatientWeight",
    0x00120062: "PatientIdentityRemoved",
    0x00120063: "DeidentificationMethod",
    0x00180015: "BodyPartExamined",
    0x00185100: "PatientPosition",
    0x00200010: "StudyID",
    0x00200011: "SeriesNumber",
    0x00201040: "PositionReferenceIndicator",
}
UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def origin_of(path: Path) -> Origin:
    """The patient, the study and the frame of reference of a DICOM file, as its header says; identifiers that are none
    are left out. Raises Unusable, OSError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        dataset = elements(data)
    values = {keyword: _text(dataset, tag) for tag, keyword in KEPT.items() if isinstance(dataset.get(tag), bytes)}
    for keyword in UIDS.values():
        if len(uid := values.get(keyword, "")) > 64 or not UID.fullmatch(uid):
            values.pop(keyword, None)
    if not re.fullmatch("[0-9]{1,9}", values.get("SeriesNumber", "")):
        values.pop("SeriesNumber", None)
    return Origin(dicom=values)


def _text(dataset: Elements, tag: int) -> str:
    """A value in the file's own character set, without padding, printable."""
    from pydicom.charset import convert_encodings, decode_bytes
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    name = KEPT[tag].endswith("Name")
    declared = dataset.get(CHARACTER_SET)
    terms = declared.decode("latin-1").strip(" \0").split("\\") if isinstance(declared, bytes) else [""]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unknown character set is taken for the standard's default
        encodings = convert_encodings([term.strip() for term in terms])
        string = decode_bytes(dataset[tag], encodings, PN_DELIMS if name else TEXT_VR_DELIMS)
    return "".join(c if c.isprintable() else "?" for c in string.strip(" \0"))
