"""What the names of files and folders say about a volume: whose it is, and which modality."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ganlab.imaging.reading.scans import VOLUME_ENDING

MODALITY_WORDS = {
    "t1": {"t1", "t1w", "mr", "mri", "mprage"},
    "ct": {"ct"},
    "fa": {"fa"},
}
FOLDERS = {"anat", "dwi", "dicom", "dicoms"}  # that say what is in them, not whose it is
BIDS = re.compile(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?:_[a-z]+-[A-Za-z0-9]+)*_[A-Za-z0-9]+")
SPACE = re.compile(r"_space-[A-Za-z0-9]+")  # sub-01_space-T1w_ct is a CT on the grid of a T1
RUN = re.compile(r"_(run-[A-Za-z0-9]+)")


def stem_of(path: Path) -> str:
    """A volume's name without the ending of its format: "p01" for p01.nii.gz and for a folder p01."""
    return path.name if path.is_dir() else VOLUME_ENDING.sub("", path.name)


def modality_of(path: Path, root: Path, modalities: tuple[str, ...]) -> str:
    """The one of the modalities that a volume's own name has a word of, else that of the nearest folder's; "" if there
    is none, or more than one."""
    parts = [*path.relative_to(root).parent.parts, stem_of(path)]
    for part in reversed(parts):
        words = {each for word in _words(SPACE.sub("", part).lower()) for each in word.split(".")}
        named = [modality for modality in modalities if words & MODALITY_WORDS.get(modality, {modality})]
        if named:
            return named[0] if len(named) == 1 else ""
    return ""


def case_of(path: Path, root: Path, alone: bool) -> str:
    """Whose volume it is, "sub-01/ses-1" or "CASE01": BIDS entities, or the folders and the name without the words of
    modalities. alone: the only volume of its folder, so that the folder's name is enough."""
    stem = stem_of(path)
    if found := BIDS.fullmatch(stem):
        run = RUN.search(stem)
        return "/".join(filter(None, [*found.groups(), run and run[1]]))
    folders = path.relative_to(root).parent.parts
    parts = [part for part in folders if part.lower() not in FOLDERS]
    if not (alone and parts):
        parts = [*parts, stem]
    kept = ["-".join(filter(None, map(_without_modality, _words(part)))) for part in parts]
    return "/".join(filter(None, kept))


def _without_modality(word: str) -> str:
    """A word without those of its parts between dots that name a modality: "p1.5" of "p1.5.MR"."""
    words = set().union(*MODALITY_WORDS.values())
    return ".".join(part for part in word.split(".") if part.lower() not in words)


def _words(name: str) -> list[str]:
    """Words of any script, with the dots in them."""
    return [word for word in re.split(r"[^\w.]+|_", unicodedata.normalize("NFC", name)) if word]
