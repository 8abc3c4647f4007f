"""The images of a study. Real and synthetic images are read, windowed, resampled and quantised in exactly the same way,
once, when the study is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical
from ganlab.imaging.naming import case_of, stem_of
from ganlab.imaging.planes import PLANES
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.pictures import PICTURES, read_picture
from ganlab.imaging.wording import quoted
from ganlab.study.design.patients import patients_of
from ganlab.study.design.truth import LesionMark, is_synthetic, lesion_of, read_rows
from ganlab.study.readings import REAL, SYNTHETIC

LEAST, MOST = 10, 2000  # images: at least of either kind, at most of both together
MAX_BYTES = 2**29  # of all images at 8 bits
MIDDLE = 0.6  # central share of a volume that slices are taken from


@dataclass(frozen=True)
class Stimuli:
    """images (N, H, W) uint8, synthetic (N,) bool; for each image its stratum ("" for none), its source, its lesion, if
    any, and its patient ("" for one of its own). notices: what was guessed."""

    images: np.ndarray
    synthetic: np.ndarray
    strata: list[str]
    sources: list[str]
    lesions: list[LesionMark | None] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class SourceImage:
    """One image as read from a file: values (H, W) float32 in its own unit, the kind of file, its source, and what is
    known about it."""

    values: np.ndarray
    kind: str
    source: str
    synthetic: bool
    stratum: str = ""
    lesion: LesionMark | None = None
    patient: str = ""


def from_folders(
    real: Path,
    synthetic: Path,
    window: tuple[float, float] | None = None,
    size: int | None = None,
    slices: int = 1,
    plane: str = "axial",
    progress: Callable[[float], None] | None = None,
) -> Stimuli:
    """Images from a folder of real and a folder of synthetic pictures or volumes.

    Files of one name in both folders are of one patient. So are pictures whose names differ in their last number alone,
    if a number is left in the rest: P07_012.png and P07_013.png; a notice says so.

    slices: how many to take from the central part of each volume, evenly spaced, 1 to 100. plane: axial, coronal or
    sagittal. window, size and errors: see `render`.
    """
    if plane not in PLANES:
        raise InputError(f'Plane "{plane}" is not known; choose from {", ".join(PLANES)}.')
    if not 1 <= slices <= 100:
        raise InputError(f"{slices} slices of a volume is outside 1 to 100.")
    listed = [(path, arm) for folder, arm in ((real, False), (synthetic, True)) for path in _files(Path(folder))]
    if len(listed) > MOST:
        raise InputError(f"{len(listed):,} files are too many; a study has at most {MOST:,} images.")
    sources = []
    for k, (path, arm) in enumerate(listed):
        if path.suffix.lower() in PICTURES:
            sources.append(_picture(path, arm))
        else:
            sources += _slices(path, arm, slices, plane)
        if progress:
            progress((k + 1) / len(listed))
    notices: tuple[str, ...] = ()
    if sources[0].kind != "volumes":
        patients, notices = patients_of([each.source for each in sources])
        sources = [replace(each, patient=patient) for each, patient in zip(sources, patients, strict=True)]
    return render(sources, window, size, notices)


def from_truth(folder: Path, truth: Path, size: int | None = None) -> Stimuli:
    """Images from pictures FOLDER/CODE.png and a truth table in CSV, as `ganlab stimuli` writes them.

    The table has the columns code and arm, and optionally class (the stratum), patient, and lesion_x, lesion_y and
    lesion_radius (pixels). Errors: see `render`.
    """
    folder, sources = Path(folder), []
    paths = {path.stem: path for path in _files(folder)}
    for row in read_rows(truth):
        code, arm = row["code"], is_synthetic(row, truth)
        if code not in paths:
            raise InputError(f'{quoted(folder)} has no image "{code}", which {quoted(truth)} lists.')
        stratum, patient = ((row.get(column) or "").strip() for column in ("class", "patient"))
        sources.append(_picture(paths[code], arm, stratum, lesion_of(row, code), patient))
    return render(sources, None, size)


def from_mixed(images: np.ndarray, truth: Sequence[tuple[str, str, str, int]]) -> Stimuli:
    """Images of a generator mixed with real ones. images: (N, H, W) uint8. truth: for each image (arm, class, source,
    number within the source), as the mixed sets of ganlab.generation have it."""
    return Stimuli(
        images,
        np.array([arm == SYNTHETIC for arm, *_ in truth], bool),
        [label for _, label, *_ in truth],
        [f"{source} {number}" for _, _, source, number in truth],
        [None] * len(images),
    )


def render(
    sources: list[SourceImage],
    window: tuple[float, float] | None = None,
    size: int | None = None,
    notices: tuple[str, ...] = (),
) -> Stimuli:
    """Convert all images to 8 bits in the same way.

    size: resample to size x size pixels, 16 to 2048. window: (centre, width) applied to slices of either kind; without
    one, slices are scaled from the 0.5th to the 99.5th percentile of all slices together. Pictures of 8 bits keep their
    grey values; pictures of more bits are scaled from the minimum to the maximum of all pictures together.

    Raises InputError for too few or too many images, images of one kind only, differing sizes, file formats or bit
    depths, and duplicate images.
    """
    check_kinds(np.array([each.synthetic for each in sources], bool))
    _check_formats(sources)
    h, w = _common_shape(sources, size)
    low, high = _range(sources, window)
    images = np.empty((len(sources), h, w), np.uint8)
    for k, each in enumerate(sources):
        values = _resampled(each.values, (h, w)) if size else each.values
        images[k] = np.clip((values - low) / (high - low) * 255, 0, 255).round()
    _check_duplicates(images, sources)
    lesions = [each.lesion and _scaled(each.lesion, each.values.shape, (h, w)) for each in sources]
    return Stimuli(
        images, np.array([each.synthetic for each in sources], bool), [each.stratum for each in sources],
        [each.source for each in sources], lesions, [each.patient for each in sources], notices,
    )  # fmt: skip


def check_kinds(synthetic: np.ndarray) -> None:
    """Raises InputError for too few images of either kind, and for too many in total."""
    fake, real = int(synthetic.sum()), int((~synthetic).sum())
    if not fake or not real:
        raise InputError(f"All {fake + real} images are {SYNTHETIC if fake else REAL}; a Turing test needs both kinds.")
    if min(fake, real) < LEAST:
        raise InputError(f"{real} real and {fake} synthetic images are too few; give at least {LEAST} of each.")
    if fake + real > MOST:
        raise InputError(f"{fake + real:,} images are too many; a study has at most {MOST:,}.")


def _check_formats(sources: list[SourceImage]) -> None:
    formats = {arm: sorted({each.kind for each in sources if each.synthetic == arm}) for arm in (False, True)}
    if len(set(formats[False] + formats[True])) > 1:
        raise InputError(
            f"Real images are {' and '.join(formats[False])}, synthetic ones {' and '.join(formats[True])}; different "
            "formats leave traces in the pixels. Save both kinds in the same format."
        )


def _common_shape(sources: list[SourceImage], size: int | None) -> tuple[int, int]:
    shapes = sorted({each.values.shape for each in sources})
    if len(shapes) > 1 and not size:
        few = ", ".join(f"{w} x {h}" for h, w in shapes[:3])
        raise InputError(f"The images have {len(shapes)} sizes ({few}); give --size N to resample all to N x N.")
    if size and not 16 <= size <= 2048:
        raise InputError(f"A size of {size} pixels is outside 16 to 2048.")
    h, w = (size, size) if size else shapes[0]
    if len(sources) * h * w > MAX_BYTES:
        raise InputError(
            f"{len(sources)} images of {w} x {h} pixels exceed {MAX_BYTES // 2**20} MB; choose a smaller --size."
        )
    return h, w


def _check_duplicates(images: np.ndarray, sources: list[SourceImage]) -> None:
    seen: dict[bytes, int] = {}
    for k, image in enumerate(images):
        other = seen.setdefault(image.tobytes(), k)
        if other != k:
            a, b = (f"{sources[n].source} ({SYNTHETIC if sources[n].synthetic else REAL})" for n in (k, other))
            raise InputError(f"{a} and {b} are the same image; remove one of them.")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{quoted(folder)} is not a folder of images.")
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise InputError(f"{quoted(folder)} contains no images.")
    return paths


def _picture(
    path: Path, synthetic: bool, stratum: str = "", lesion: LesionMark | None = None, patient: str = ""
) -> SourceImage:
    picture = read_picture(path)
    kind = f"{picture.form} of {picture.depth.replace('-bit', ' bits')}"
    return SourceImage(picture.grey, kind, path.name, synthetic, stratum, lesion, patient)


def _slices(path: Path, synthetic: bool, count: int, plane: str) -> list[SourceImage]:
    """Slices in radiological orientation: superior (in axial slices, anterior) is up, and the patient's right (in
    sagittal slices, anterior) is on the left. Pixels are resampled to squares of the finer spacing."""
    volume = canonical(read_volume(path))
    patient = case_of(path, path.parent, False).split("/")[0] or stem_of(path)
    axis = PLANES[plane]
    depth = volume.shape[axis]
    first = depth * (1 - MIDDLE) / 2
    indices = sorted({min(round(first + (k + 0.5) * depth * MIDDLE / count), depth - 1) for k in range(count)})
    across, up = (volume.spacing[k] for k in range(3) if k != axis)
    slices = []
    for index in indices:
        cut = np.take(volume.array, index, axis).T[::-1, ::-1]
        shape = tuple(round(n * side / min(across, up)) for n, side in zip(cut.shape, (up, across), strict=True))
        values = cut if shape == cut.shape else _resampled(np.asarray(cut, np.float32), shape)
        slices.append(
            SourceImage(
                np.ascontiguousarray(values, np.float32),
                "volumes",
                f"{path.name}, slice {index}",
                synthetic,
                patient=patient,
            )
        )
    return slices


def _range(sources: list[SourceImage], window: tuple[float, float] | None) -> tuple[float, float]:
    if sources[0].kind != "volumes":
        if window:
            raise InputError("A window applies to volumes; pictures keep their grey values.")
        if sources[0].kind.endswith(" 8 bits"):
            return 0.0, 1.0
        # CT is often exported with 12 of 16 bits in use; unscaled, all images would look black
        return min(float(each.values.min()) for each in sources), max(float(each.values.max()) for each in sources)
    if window:
        centre, width = window
        if not (math.isfinite(centre) and math.isfinite(width)):
            raise InputError(
                f"A window of {centre:g},{width:g} is not a pair of finite numbers; give CENTRE,WIDTH such as 40,400."
            )
        if not width > 0:
            raise InputError(f"A window width of {width:g} is not above 0.")
        return centre - width / 2, centre + width / 2
    some = np.concatenate([each.values.ravel()[:: max(1, each.values.size // 4096)] for each in sources])
    low, high = (float(v) for v in np.percentile(some, (0.5, 99.5)))
    if not high > low:
        raise InputError("The slices have a single grey value; they contain no image.")
    return low, high


def _resampled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from skimage.transform import resize

    return resize(values, shape, order=1, anti_aliasing=True, preserve_range=True).astype(np.float32)


def _scaled(lesion: LesionMark, before: tuple[int, int], after: tuple[int, int]) -> LesionMark:
    by_y, by_x = (b / a for a, b in zip(before, after, strict=True))
    return LesionMark(lesion.x * by_x, lesion.y * by_y, lesion.radius * (by_x * by_y) ** 0.5)
