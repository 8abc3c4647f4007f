"""A user's own images: pictures and slices of volumes, to learn from, to judge a generator by, or to look for in what a
generator can make."""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.game import GanConfig
from ganlab.generation.image_kinds import HELD_OUT, OWN, ImageKind, Images, Progress, get_kind
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import mr_gain
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.pictures import PICTURES, WHITE, is_deep, read_picture
from ganlab.imaging.wording import listed, quoted, times

VOLUMES = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".mha", ".dcm", ".zip")
LEAST, MOST = 16, 50_000  # images to learn from
APART = 5  # one file in so many is held out
CROWN = 130.0  # mm below the top of a head, where its brain is


def read_folder(folder: Path, size: int, progress: Progress = None) -> tuple[Images, Images, list[str]]:
    """(images to learn from, images held out to judge by, sentences) of a folder and its subfolders, as `read_files`
    reads them; a subfolder of DICOM slices is a volume.

    Held out is one file in five, by the checksum of its path below the folder: always the same ones, whatever is added
    and unless they are renamed. Slices of a volume stay together; pictures of one patient do not, so give patients as
    volumes. Raises InputError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'"{folder}" is no folder; give one with at least {LEAST} images.')
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name.lower().endswith(PICTURES + VOLUMES))
    if not files:
        raise InputError(f"{quoted(folder)} holds no images; {', '.join(PICTURES + VOLUMES)} can be read.")
    slices = {p.parent for p in files if p.name.lower().endswith(".dcm")}
    files = [p for p in files if p.parent not in slices] + sorted(slices)
    found, notices = _read(files, size, quoted(folder), progress)
    apart = held_out(list(found), folder)
    parts = [[images for path, images in found.items() if (path in apart) == side] for side in (False, True)]
    learned, kept = (_images(part, size) for part in parts)
    notices.append(f"{len(kept):,} of {len(learned) + len(kept):,} images are held out, to judge a generator by.")
    return learned, kept, notices


def held_out(files: list[Path], folder: Path) -> set[Path]:
    """Those of a folder's files that nothing learns from: one in five by chance, but at least one, and not all."""
    sums = {p: zlib.crc32(os.fsencode(p.relative_to(folder).as_posix())) for p in files}
    apart = {p for p in files if sums[p] % APART == 0}
    if 0 < len(apart) < len(files):
        return apart
    return {min(files, key=sums.get)} if len(files) > 1 else set()


def own_kind(folder: Path, size: int, progress: Progress = None) -> tuple[ImageKind, list[str]]:
    """(the kind of a user's images, which "makes" those of the folder, in a mixed order: what is held out for the seed
    HELD_OUT, else what is to be learned from; sentences). Raises InputError where nothing is held out."""
    learned, kept, notices = read_folder(folder, size, progress)
    if not len(kept):
        raise InputError(f"{quoted(Path(folder))} is a single volume, so none are left to judge by; add others to it.")
    parts = {}
    for held, part in ((False, learned), (True, kept)):
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
        parts[held] = part.kind.to_unit(part.images[order])

    def make(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
        values = parts[seed == HELD_OUT][:count]
        return values, np.zeros(len(values), np.int64)

    return replace(learned.kind, make=make, count=len(learned)), notices


def judged_kind(name: str, config: GanConfig, source: Path | None, progress: Progress = None) -> ImageKind:
    """The kind of what a generator makes, with real images to hold against it: of a user's own, those of the folder
    that it learned from, whose held-out part it never saw. Raises InputError for a folder that it did not learn from.
    """
    kind = get_kind(config.data)
    if not kind.name.startswith(OWN):
        if source:
            raise InputError(f'"{name}" makes images that ganlab has real ones of; leave --source out.')
        return kind
    if not source:
        raise InputError(f'"{name}" learned from your own images; give the folder it learned from with --source.')
    if not config.count:
        raise InputError(
            f'"{name}" learned from all images there were, so none are left to judge it by; train it anew with python '
            f'-m ganlab train PRESET --source "{source}", which holds one file in {APART} out.'
        )
    kind, _ = own_kind(source, kind.size, progress)
    if config.count != kind.count:
        raise InputError(
            f'"{name}" learned from {config.count:,} images, and "{source}" has {kind.count:,} to learn from; give the '
            "folder as it was in the training, or train it anew."
        )
    return kind


def read_files(files: list[Path], size: int, where: str, progress: Progress = None) -> tuple[Images, list[str]]:
    """(images (N, 1, size, size), sentences about what was left out or changed) of pictures and volumes; where they
    came from, for these sentences.

    Pictures are made grey, cut to a square and resampled; black is -1 and white 1. Those of 16 bits, of which few may
    be used, have one range, from the 0.5th to the 99.5th percentile of all of them. Of a volume every axial slice of
    the middle half counts, between these percentiles of its own. Raises InputError if fewer than 16 images can be read.
    """
    found, notices = _read(files, size, where, progress)
    return _images(list(found.values()), size), notices


def _images(parts: list[Tensor], size: int) -> Images:
    images = torch.cat([torch.empty((0, 1, size, size)), *parts])
    return Images(get_kind(f"{OWN}{size}"), images, torch.zeros(len(images), dtype=torch.int64))


def _read(files: list[Path], size: int, where: str, progress: Progress) -> tuple[dict[Path, Tensor], list[str]]:
    """Images of every file that can be read, and the sentences of `read_files`."""
    if len(files) > MOST:
        raise InputError(f"{where} holds {len(files):,} files; at most {MOST:,} can be learned from.")
    found, deep, notices, sizes, skipped = {}, [], [], {}, []
    for k, path in enumerate(files):
        try:
            found[path], shape = read_image(path, size)
        except InputError as error:
            skipped.append(path)
            if len(skipped) <= 5:
                notices.append(f"Left out: {error}")
        else:
            if not _is_volume(path) and is_deep(path):
                deep.append(path)
            sizes[shape] = path
        if progress:
            progress((k + 1) / len(files))
    count = sum(map(len, found.values()))
    if count < LEAST:
        first = f" {notices[0]}" if notices else ""
        raise InputError(f"{where} holds {count} readable images; {LEAST} are the least.{first}")
    if len(skipped) > 5:
        notices.append(f"Left out as well: {listed(skipped[5:])}.")
    if len(sizes) > 1:
        some = ", ".join(times(shape) for shape in sorted(sizes)[:3])
        notices.append(f"The images differ in size ({some} ...); all were cut to squares and resampled to {size}.")
    if deep:
        low, high = _range([found[path] for path in deep])
        for path in deep:
            found[path] = _between(found[path], low, high)
        a, b = (f"{(v + 1) / 2 * WHITE:,.0f}" for v in (low, high))
        notices.append(f"16-bit pictures with values {a} to {b}: these are black and white in all {len(deep)}.")
    return found, notices


def read_image(path: Path, size: int) -> tuple[Tensor, tuple[int, ...]]:
    """(images (N, 1, size, size) in -1..1, shape as read): one of a picture, of 16 bits from 0 to 65,535, many of a
    volume. Raises InputError."""
    path = Path(path)
    if _is_volume(path):
        return _slices(path, size)
    grey = read_picture(path)
    return fitted(torch.from_numpy(grey)[None, None], size) * 2 - 1, grey.shape


def read_as(path: Path, kind: ImageKind) -> Tensor:
    """(N, 1, size, size) in -1..1: a user's picture or volume, as images of this kind are.

    A picture is cut to a square, black -1 and white 1; one of 16 bits has its 0.5th to its 99.5th percentile between
    them. Of a volume: axial slices with the kind's pixels and range,
    from the bottom up; of a head those of the 130 mm below its top, with its middle in theirs; of nodules, patches
    around the middle of the volume. Raises InputError, also for a CT where an MR is asked for and the reverse.
    """
    path = Path(path)
    if not (kind.mm and path.name.lower().endswith(VOLUMES)):
        images = read_image(path, kind.size)[0]
        return images if _is_volume(path) or not is_deep(path) else _between(images, *_range([images]))
    volume = canonical(read_volume(path))
    modality, air = kind.modality, kind.low
    if (modality == "ct") != looks_like_ct(volume):
        asked = "a CT in HU" if modality == "ct" else "an MR" if modality == "t1" else "a map of FA"
        raise InputError(f"{quoted(path)} does not look like {asked}, which this model makes images of; give one.")
    if modality == "fa" and not 0 <= float(volume.array.min()) <= float(volume.array.max()) <= 1.5:
        raise InputError(f"{quoted(path)} holds values beyond 0 to 1, and FA has none; give a map of FA.")
    array = volume.array.astype(np.float32) * (mr_gain(volume.array) if modality == "t1" else 1.0)
    affine, shape = model_grid(volume, kind.mm)
    array = resample(replace(volume, array=array), affine, shape, fill=air).array
    middle, levels = [n // 2 for n in shape[:2]], slice(None)
    if kind.name.startswith("brain"):
        patient = array > air + 0.12 * (1000.0 if modality == "ct" else 1.0)
        tops = np.flatnonzero(patient.any((0, 1)))
        if not len(tops):
            raise InputError(f"{quoted(path)} holds no head that could be told from air; give a scan of one.")
        levels = slice(max(0, int(tops[-1] - CROWN / kind.mm)), int(tops[-1]) + 1)
        for axis in (0, 1):
            seen = np.flatnonzero(patient[:, :, levels].any((1 - axis, 2)))
            middle[axis] = int(seen[0] + seen[-1] + 1) // 2
    reach = kind.size // 2
    padded = np.pad(array[:, :, levels], ((reach, reach), (reach, reach), (0, 0)), constant_values=air)
    x, y = middle
    cut = padded[x : x + kind.size, y : y + kind.size]
    return kind.to_network(np.ascontiguousarray(cut.transpose(2, 1, 0)[:, ::-1, ::-1]))


def _is_volume(path: Path) -> bool:
    return path.is_dir() or path.name.lower().endswith(VOLUMES)


def _range(images: list[Tensor]) -> tuple[float, float]:
    """The 0.5th and the 99.5th percentile of all pixels; the least and the greatest where these are the same."""
    values = torch.cat([each.flatten() for each in images]).numpy()
    low, high = (float(v) for v in np.percentile(values[:: 1 + len(values) // 10**7], (0.5, 99.5)))
    return (low, high) if high > low else (float(values.min()), float(values.max()))


def _between(images: Tensor, low: float, high: float) -> Tensor:
    """-1 at low, 1 at high, and no further."""
    return ((images - low) / max(high - low, 1e-12) * 2 - 1).clamp(-1, 1)


def _slices(path: Path, size: int) -> tuple[Tensor, tuple[int, ...]]:
    volume = read_volume(path)
    array = volume.array[:, :, volume.shape[2] // 4 : -(volume.shape[2] // 4) or None]
    low, high = (float(v) for v in np.percentile(array, (0.5, 99.5)))
    if not high > low:
        raise InputError(f"{quoted(path)} is of a single grey; there is nothing to learn.")
    images = torch.from_numpy(np.clip((array - low) / (high - low), 0, 1).astype(np.float32))
    images = images.permute(2, 1, 0).flip(1, 2)[:, None]  # anterior up, the patient's right on the left
    return fitted(images, size) * 2 - 1, volume.shape


def fitted(images: Tensor, size: int) -> Tensor:
    """(N, 1, size, size): the square in the middle of images (N, 1, H, W), resampled with an antialiasing filter."""
    h, w = images.shape[2:]
    side = min(h, w)
    y, x = (h - side) // 2, (w - side) // 2
    square = images[:, :, y : y + side, x : x + side]
    made = F.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return made.clamp(0, 1)
