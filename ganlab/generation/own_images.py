"""A user's own images: pictures and slices of volumes, to train on, to evaluate a generator with, or to invert."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig
from ganlab.generation.image_kinds import HELD_OUT, OWN, ImageKind, Images, Progress, get_kind, same_images
from ganlab.imaging.checks import looks_like_ct
from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.intensity import normalise_mr
from ganlab.imaging.reading.contents import checksum
from ganlab.imaging.reading.dicom_pictures import are_pictures, read_dicom_picture
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.pictures import PICTURES, read_pictures
from ganlab.imaging.wording import listed, quoted, times

VOLUMES = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".mha", ".dcm", ".ima", ".zip")
FEWEST, MOST = 16, 50_000  # images and files to train on
HOLD_OUT = 5  # one file in this many is held out
DICOM, DICOM_VALUES = (".dcm", ".ima"), "DICOM"
PERCENTILES = (0.5, 99.5)  # mapped to black and white
HEAD_MM = 130.0  # below the top of a head, where its brain is


def read_folder(folder: Path, size: int, progress: Progress = None) -> tuple[Images, Images, list[str]]:
    """(training images, held-out images, notices) of a folder and its subfolders, read as by `read_files`; a subfolder
    of DICOM slices is a volume.

    One file in five is held out, chosen by the checksum of its path in the folder: the choice does not change when
    files are added, only when they are renamed. Slices of a volume stay together; pictures of one patient do not, so
    give patients as volumes. Raises InputError for a folder without enough images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'"{folder}" is not a folder; give one with at least {FEWEST} images.')
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name.lower().endswith(PICTURES + VOLUMES))
    if not files:
        raise InputError(f"{quoted(folder)} holds no images; {', '.join(PICTURES + VOLUMES)} can be read.")
    files = _with_dicom_volumes(files)
    images_of, notices = _read(files, size, quoted(folder), progress)
    held = held_out(list(images_of), folder)
    training, evaluation = (
        _join([images for path, images in images_of.items() if (path in held) == side], size) for side in (False, True)
    )
    training = replace(training, kind=replace(training.kind, digest=_digest(set(images_of) - held)))
    notices.append(
        f"{len(evaluation):,} of {len(training) + len(evaluation):,} images are held out, to evaluate a generator with."
    )
    return training, evaluation, notices


def _with_dicom_volumes(files: list[Path]) -> list[Path]:
    """The files, with a folder in place of DICOM files that are slices of a volume."""
    of_folder: dict[Path, list[Path]] = {}
    for path in files:
        if path.name.lower().endswith(DICOM):
            of_folder.setdefault(path.parent, []).append(path)
    volumes = {folder for folder, paths in of_folder.items() if not are_pictures(paths)}
    return [path for path in files if path.parent not in volumes] + sorted(volumes)


def held_out(files: list[Path], folder: Path) -> set[Path]:
    """The files of a folder that are not used for training: about one in five, at least one, and not all."""
    sums = {p: zlib.crc32(os.fsencode(p.relative_to(folder).as_posix())) for p in files}
    held = {p for p in files if sums[p] % HOLD_OUT == 0}
    if 0 < len(held) < len(files):
        return held
    return {min(files, key=sums.get)} if len(files) > 1 else set()


def _digest(files: set[Path]) -> int:
    """A checksum of the contents of files, whatever their names."""
    return zlib.crc32(",".join(map(str, sorted(map(checksum, files)))).encode())


def own_kind(folder: Path, size: int, progress: Progress = None) -> tuple[ImageKind, list[str]]:
    """(the kind of a user's images, notices). Its `make` returns the images of the folder in a shuffled order: the
    held-out ones for the seed HELD_OUT, the training images for others. Raises InputError if nothing is held out."""
    training, evaluation, notices = read_folder(folder, size, progress)
    if not len(evaluation):
        raise InputError(
            f"{quoted(Path(folder))} is a single volume, so none are left for the evaluation; add others to it."
        )
    parts = {}
    for held, part in ((False, training), (True, evaluation)):
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
        parts[held] = part.kind.to_unit(part.images[order])

    def make(seed: int, count: int, progress: Progress = None) -> tuple[np.ndarray, np.ndarray]:
        values = parts[seed == HELD_OUT][:count]
        return values, np.zeros(len(values), np.int64)

    return replace(training.kind, make=make, count=len(training)), notices


def judged_kind(name: str, config: GanConfig, source: Path | None, progress: Progress = None) -> ImageKind:
    """The kind of a generator's images, with real ones to compare them with. For a generator of a user's own images
    these are in `source`, the folder it was trained on. Raises InputError for a folder that it was not trained on."""
    kind = get_kind(config.data)
    if not kind.name.startswith(OWN):
        if source:
            raise InputError(f'"{name}" generates a kind of image that ganlab supplies itself; leave --source out.')
        return kind
    if not source:
        raise InputError(f'"{name}" was trained on your own images; give their folder with --source.')
    if not config.count:
        raise InputError(
            f'"{name}" was trained on all images, so none are left to evaluate it with; train it again with python -m '
            f'ganlab train PRESET --source "{source}", which holds one file in {HOLD_OUT} out.'
        )
    kind, _ = own_kind(source, kind.size, progress)
    if not same_images(config, kind):
        others = "others " if config.count == kind.count else ""
        raise InputError(
            f'"{name}" was trained on {config.count:,} images, and "{source}" has {kind.count:,} {others}to train on; '
            "give the folder as it was in the training, or train it again."
        )
    return kind


@dataclass
class _Reading:
    """The state of reading many files."""

    images: dict[Path, Tensor] = field(default_factory=dict)
    depths: dict[Path, str] = field(default_factory=dict)  # of pictures whose black and white are unknown
    pages: dict[Path, int] = field(default_factory=dict)  # of stacks
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # and why


def read_files(
    files: list[Path], size: int, where: str, progress: Progress = None, most: int | None = None
) -> tuple[Images, list[str]]:
    """(images (N, 1, size, size), notices about what was left out or changed) of pictures and volumes. where: the
    name of their source in notices. most: of more images than this, only every second, third ... is used.

    Pictures are converted to grey, cut to a square and resampled; black is -1 and white 1. All pages of a stack are
    used. Pictures of more than 8 bits, which may use a small part of their range, share one range, from the 0.5th to
    the 99.5th percentile of all of them, and so do DICOM pictures. A volume gives the axial slices of its middle half,
    between its own percentiles. Raises InputError if fewer than 16
    images can be read.
    """
    images_of, notices = _read(files, size, where, progress)
    images = _join(list(images_of.values()), size)
    if most and len(images) > most:
        every = -(-len(images) // most)
        notices.append(f"One in {every} of {len(images):,} images is used; python -m ganlab train --source uses all.")
        images = replace(images, images=images.images[::every].clone(), labels=images.labels[::every])
    return images, notices


def _join(parts: list[Tensor], size: int) -> Images:
    images = torch.cat([torch.empty((0, 1, size, size)), *parts])
    return Images(get_kind(f"{OWN}{size}"), images, torch.zeros(len(images), dtype=torch.int64))


def _read(files: list[Path], size: int, where: str, progress: Progress) -> tuple[dict[Path, Tensor], list[str]]:
    """(images of every file that can be read, notices), see `read_files`."""
    if len(files) > MOST:
        raise InputError(f"{where} holds {len(files):,} files; at most {MOST:,} can be used.")
    reading = _Reading()
    for k, path in enumerate(files):
        try:
            reading.images[path], shapes, depth = read_image(path, size)
        except InputError as error:
            reading.skipped.append((path, str(error)))
        else:
            reading.shapes |= shapes
            if depth:
                reading.depths[path] = depth
            if not _is_volume(path) and len(reading.images[path]) > 1:
                reading.pages[path] = len(reading.images[path])
        if progress:
            progress((k + 1) / len(files))
    count = sum(map(len, reading.images.values()))
    if count < FEWEST:
        first = f" Left out: {reading.skipped[0][1]}" if reading.skipped else ""
        raise InputError(f"{where} holds {count} readable images; at least {FEWEST} are needed.{first}")
    return reading.images, _notices(reading, size)


def _notices(reading: _Reading, size: int) -> list[str]:
    """Notices about what was left out or changed. Gives pictures of unknown black and white their common range."""
    notices = [f"Left out: {why}" for _, why in reading.skipped[:5]]
    if len(reading.skipped) > 5:
        notices.append(f"Left out as well: {listed([path for path, _ in reading.skipped[5:]])}.")
    if len(reading.shapes) > 1:
        some = ", ".join(times(shape) for shape in sorted(reading.shapes)[:3])
        notices.append(f"The images differ in size ({some} ...); all were cut to squares and resampled to {size}.")
    if reading.pages:
        pages = sum(reading.pages.values())
        notices.append(f"{len(reading.pages)} files are stacks: all of their {pages:,} pages are used.")
    for of_dicom in (False, True):
        paths = [path for path, depth in reading.depths.items() if (depth == DICOM_VALUES) == of_dicom]
        if not paths:
            continue
        low, high = _range([reading.images[path] for path in paths])
        for path in paths:
            reading.images[path] = _rescaled(reading.images[path], low, high)
        name = " and ".join(sorted({reading.depths[path] for path in paths}))
        count = sum(len(reading.images[path]) for path in paths)
        notices.append(f"{count:,} {name} pictures: black is {low:,.4g} and white is {high:,.4g} in all of them.")
    return notices


def read_image(path: Path, size: int) -> tuple[Tensor, set[tuple[int, ...]], str]:
    """(images (N, 1, size, size), their shapes as read, depth): one of a picture, several of a stack or volume. They
    are in -1..1, or, if depth is not "", as stored: black and white are unknown. Raises InputError for an unreadable
    file."""
    path = Path(path)
    if _is_dicom_picture(path):
        grey = read_dicom_picture(path)
        return fitted(torch.from_numpy(grey)[None, None], size), {grey.shape}, DICOM_VALUES
    if _is_volume(path):
        images, shape = _slices(path, size)
        return images, {shape}, ""
    pages, shapes, deep = [], set(), ""
    for picture in read_pictures(path):
        shapes.add(picture.grey.shape)
        deep = picture.depth if picture.deep else ""
        image = fitted(torch.from_numpy(picture.grey)[None, None], size)
        pages.append(image if deep else image * 2 - 1)
        if len(pages) > MOST:
            raise InputError(f"{quoted(path)} has more than {MOST:,} pages; split it.")
    return torch.cat(pages), shapes, deep


def read_as(path: Path, kind: ImageKind) -> Tensor:
    """(N, 1, size, size) in -1..1: a user's picture or volume, converted to images of a kind.

    A picture is cut to a square; black is -1 and white 1, or the 0.5th and 99.5th percentile if it has more than 8
    bits. A volume gives axial slices with the kind's pixel size and range, from the bottom up: of a head those of the
    130 mm below its top, centred on the head; of nodules patches around the centre of the volume. Raises InputError for
    an unreadable file, and for a CT if the kind is MR, or the reverse.
    """
    path = Path(path)
    if not (kind.mm and path.name.lower().endswith(VOLUMES)):
        images, _, depth = read_image(path, kind.size)
        return _rescaled(images, *_range([images])) if depth else images
    volume = canonical(read_volume(path))
    modality, air = kind.modality, kind.low
    if (modality == "ct") != looks_like_ct(volume):
        expected = "a CT in HU" if modality == "ct" else "an MR" if modality == "t1" else "a map of FA"
        raise InputError(f"{quoted(path)} does not look like {expected}, which is what this model generates; give one.")
    if modality == "fa" and not 0 <= float(volume.array.min()) <= float(volume.array.max()) <= 1.5:
        raise InputError(f"{quoted(path)} holds values outside 0 to 1, so it is not FA; give a map of FA.")
    volume = normalise_mr(volume) if modality == "t1" else volume
    affine, shape = model_grid(volume, kind.mm)
    array = resample(volume, affine, shape, fill=air).array
    centre, levels = [n // 2 for n in shape[:2]], slice(None)
    if kind.name.startswith("brain"):
        centre, levels = _find_head(array > air + 0.12 * (1000.0 if modality == "ct" else 1.0), kind.mm, path)
    half = kind.size // 2
    padded = np.pad(array[:, :, levels], ((half, half), (half, half), (0, 0)), constant_values=air)
    x, y = centre
    cut = padded[x : x + kind.size, y : y + kind.size]
    return kind.to_network(np.ascontiguousarray(cut.transpose(2, 1, 0)[:, ::-1, ::-1]))


def _find_head(mask: np.ndarray, mm: float, path: Path) -> tuple[list[int], slice]:
    """(centre of a head in x and y, slices of the HEAD_MM below its top) from the mask of what is not air."""
    levels = np.flatnonzero(mask.any((0, 1)))
    if not len(levels):
        raise InputError(f"{quoted(path)} holds no head that differs from air; give a scan of one.")
    top = int(levels[-1])
    slices = slice(max(0, int(top - HEAD_MM / mm)), top + 1)
    extents = (np.flatnonzero(mask[:, :, slices].any((1 - axis, 2))) for axis in (0, 1))
    return [int(extent[0] + extent[-1] + 1) // 2 for extent in extents], slices


def _is_dicom_picture(path: Path) -> bool:
    return path.name.lower().endswith(DICOM) and path.is_file() and are_pictures([path])


def _is_volume(path: Path) -> bool:
    return path.is_dir() or path.name.lower().endswith(VOLUMES)


def _range(images: list[Tensor]) -> tuple[float, float]:
    """PERCENTILES of all pixels, or the minimum and maximum if these are equal."""
    values = torch.cat([each.flatten() for each in images]).numpy()
    low, high = (float(v) for v in np.percentile(values[:: 1 + len(values) // 10**7], PERCENTILES))
    return (low, high) if high > low else (float(values.min()), float(values.max()))


def _rescaled(images: Tensor, low: float, high: float) -> Tensor:
    """Images with -1 at low and 1 at high, clipped."""
    return ((images - low) / max(high - low, 1e-12) * 2 - 1).clamp(-1, 1)


def _slices(path: Path, size: int) -> tuple[Tensor, tuple[int, ...]]:
    """(axial slices of the middle half of a volume, its shape)."""
    volume = canonical(read_volume(path))
    array = volume.array[:, :, volume.shape[2] // 4 : -(volume.shape[2] // 4) or None]
    low, high = (float(v) for v in np.percentile(array, PERCENTILES))
    if not high > low:
        raise InputError(f"{quoted(path)} has a single grey value; there is nothing to learn.")
    images = torch.from_numpy(np.clip((array - low) / (high - low), 0, 1).astype(np.float32))
    images = images.permute(2, 1, 0).flip(1, 2)[:, None]  # anterior up, the patient's right on the left
    return fitted(images, size) * 2 - 1, volume.shape


def fitted(images: Tensor, size: int) -> Tensor:
    """(N, 1, size, size): the central square of images (N, 1, H, W), resampled with an antialiasing filter."""
    h, w = images.shape[2:]
    side = min(h, w)
    y, x = (h - side) // 2, (w - side) // 2
    square = images[:, :, y : y + side, x : x + side]
    resized = F.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.clamp(float(images.min()), float(images.max()))
