"""The images of a study: both kinds are read, windowed, resampled and rounded in one way, once, when it is built."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.errors import InputError
from ganlab.imaging.grid import canonical
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.reading.pictures import PICTURES, read_picture
from ganlab.imaging.wording import quoted
from ganlab.study.analysis.readings import REAL, SYNTHETIC

LEAST, MOST = 10, 2000  # images of either kind; of both
MAX_BYTES = 2**29  # of all images at 8 bits
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
MIDDLE = 0.6  # share of a volume's slices, about its middle, that are taken from


@dataclass(frozen=True)
class Lesion:
    """A lesion that is known to be in an image: its centre (x to the right, y down) and radius in pixels."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Stimuli:
    """images (N, H, W) uint8, synthetic (N,) bool; of each its stratum ("" where there are none), where it came from,
    and its lesion, if it has one."""

    images: np.ndarray
    synthetic: np.ndarray
    strata: list[str]
    sources: list[str]
    lesions: list[Lesion | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Found:
    """One image as it was read: values (H, W) float32, in its own unit; kind of file; where from; what is known."""

    values: np.ndarray
    kind: str
    source: str
    synthetic: bool
    stratum: str = ""
    lesion: Lesion | None = None


def from_folders(
    real: Path,
    synthetic: Path,
    window: tuple[float, float] | None = None,
    size: int | None = None,
    slices: int = 8,
    plane: str = "axial",
    progress: Callable[[float], None] | None = None,
) -> Stimuli:
    """Pictures, or slices of volumes, of a folder of real and one of synthetic ones. Arguments and errors as `render`
    has them; slices: of each volume, evenly from its middle."""
    if plane not in PLANES:
        raise InputError(f'Plane "{plane}" is not known; choose from {", ".join(PLANES)}.')
    if not 1 <= slices <= 100:
        raise InputError(f"{slices} slices of a volume are not 1 to 100.")
    listed = [(path, arm) for folder, arm in ((real, False), (synthetic, True)) for path in _files(Path(folder))]
    if len(listed) > MOST:
        raise InputError(f"{len(listed):,} files are more than {MOST:,} images; nobody reads so many.")
    found = []
    for k, (path, arm) in enumerate(listed):
        if path.suffix.lower() in PICTURES:
            found.append(_picture(path, arm))
        else:
            found += _slices(path, arm, slices, plane)
        if progress:
            progress((k + 1) / len(listed))
    return render(found, window, size)


def from_truth(folder: Path, truth: Path, size: int | None = None) -> Stimuli:
    """Pictures FOLDER/CODE.png and a CSV with the columns code and arm, as `ganlab stimuli` writes them; class (the
    stratum) and lesion_x, lesion_y, lesion_radius (pixels) if there are. Raises InputError as `render` does."""
    folder, found = Path(folder), []
    paths = {path.stem: path for path in _files(folder)}
    for row in read_rows(truth):
        code, arm = row["code"], is_synthetic(row, truth)
        if code not in paths:
            raise InputError(f'{quoted(folder)} has no image "{code}"; {quoted(truth)} names it.')
        found.append(_picture(paths[code], arm, (row.get("class") or "").strip(), _lesion(row, code)))
    return render(found, None, size)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of truth, with the columns code and arm. Raises InputError."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{quoted(path)} cannot be read ({str(error)[:80]}); give the truth as CSV.") from error
    rows = csv.DictReader(lines)
    if not {"code", "arm"} <= set(rows.fieldnames or ()):
        raise InputError(f"{quoted(path)} has no columns code and arm; write a row per image.")
    return list(rows)


def is_synthetic(row: dict[str, str], path: Path) -> bool:
    """The arm of a row of truth. Raises InputError for other words than real and synthetic."""
    arm = (row["arm"] or "").strip().lower()
    if arm not in (REAL, SYNTHETIC):
        raise InputError(f'{quoted(path)}: the arm of "{row["code"]}" is "{arm[:20]}"; say real or synthetic.')
    return arm == SYNTHETIC


def render(found: list[Found], window: tuple[float, float] | None = None, size: int | None = None) -> Stimuli:
    """All images to 8 bits in one way: resampled to size x size if given, through one window (centre, width) for both
    kinds; unless given, pictures keep their greys, of 16 bits from the least to the greatest value of all of them
    together, and slices get the range from the 0.5th to the 99.5th percentile of all of them together.

    Raises InputError for too few or too many images, one kind only, different sizes, file formats or bit depths,
    images that are there twice.
    """
    check_kinds(np.array([each.synthetic for each in found], bool))
    kinds = {arm: sorted({each.kind for each in found if each.synthetic == arm}) for arm in (False, True)}
    if len(set(kinds[False] + kinds[True])) > 1:
        raise InputError(
            f"Real images are {' and '.join(kinds[False])}, synthetic ones {' and '.join(kinds[True])}: that leaves "
            "traces in the pixels; save both in one format."
        )
    shapes = sorted({each.values.shape for each in found})
    if len(shapes) > 1 and not size:
        few = ", ".join(f"{w} x {h}" for h, w in shapes[:3])
        raise InputError(f"The images have {len(shapes)} sizes ({few}); give --size N to resample all to N x N.")
    if size and not 16 <= size <= 2048:
        raise InputError(f"A size of {size} pixels is outside 16 to 2048.")
    h, w = (size, size) if size else shapes[0]
    if len(found) * h * w > MAX_BYTES:
        raise InputError(
            f"{len(found)} images of {w} x {h} pixels are more than {MAX_BYTES // 2**20} MB; make --size smaller."
        )
    low, high = _range(found, window)
    images = np.empty((len(found), h, w), np.uint8)
    for k, each in enumerate(found):
        values = _resampled(each.values, (h, w)) if size else each.values
        images[k] = np.clip((values - low) / (high - low) * 255, 0, 255).round()
    seen: dict[bytes, int] = {}
    for k, image in enumerate(images):
        other = seen.setdefault(image.tobytes(), k)
        if other != k:
            a, b = (f"{found[n].source} ({SYNTHETIC if found[n].synthetic else REAL})" for n in (k, other))
            raise InputError(f"{a} and {b} are the same picture; take one out.")
    lesions = [each.lesion and _moved(each.lesion, each.values.shape, (h, w)) for each in found]
    return Stimuli(
        images, np.array([each.synthetic for each in found], bool), [each.stratum for each in found],
        [each.source for each in found], lesions,
    )  # fmt: skip


def check_kinds(synthetic: np.ndarray) -> None:
    """Raises InputError unless there are enough images of either kind, and not too many."""
    made, real = int(synthetic.sum()), int((~synthetic).sum())
    if not made or not real:
        raise InputError(f"All {made + real} images are {SYNTHETIC if made else REAL}; a Turing test needs both kinds.")
    if min(made, real) < LEAST:
        raise InputError(f"{real} real and {made} synthetic images are too few; give at least {LEAST} of each.")
    if made + real > MOST:
        raise InputError(f"{made + real:,} images are more than {MOST:,}; nobody reads so many.")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{quoted(folder)} is no folder of images.")
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not found:
        raise InputError(f"{quoted(folder)} holds no images.")
    return found


def _picture(path: Path, synthetic: bool, stratum: str = "", lesion: Lesion | None = None) -> Found:
    values = read_picture(path)
    with Image.open(path) as image:
        deep = image.mode.startswith(("I", "F"))
        kind = f"{image.format} of {16 if deep else 8} bits"
    return Found(values, kind, path.name, synthetic, stratum, lesion)


def _slices(path: Path, synthetic: bool, count: int, plane: str) -> list[Found]:
    """As radiologists see them: superior, or anterior in axial slices, up; the patient's right, or the nose, on the
    left. Pixels are made square, of the finer side."""
    volume = canonical(read_volume(path))
    axis = PLANES[plane]
    depth = volume.shape[axis]
    first = depth * (1 - MIDDLE) / 2
    places = sorted({min(round(first + (k + 0.5) * depth * MIDDLE / count), depth - 1) for k in range(count)})
    across, up = (volume.spacing[k] for k in range(3) if k != axis)
    found = []
    for place in places:
        cut = np.take(volume.array, place, axis).T[::-1, ::-1]
        shape = tuple(round(n * side / min(across, up)) for n, side in zip(cut.shape, (up, across), strict=True))
        values = cut if shape == cut.shape else _resampled(np.asarray(cut, np.float32), shape)
        found.append(
            Found(np.ascontiguousarray(values, np.float32), "volumes", f"{path.name}, slice {place}", synthetic)
        )
    return found


def _range(found: list[Found], window: tuple[float, float] | None) -> tuple[float, float]:
    if found[0].kind != "volumes":
        if window:
            raise InputError("A window is for volumes; pictures keep their greys.")
        if not found[0].kind.endswith("16 bits"):
            return 0.0, 1.0
        # of 16 bits few may be used, CT being exported as 12 of them: as they are, all images would be black
        return min(float(each.values.min()) for each in found), max(float(each.values.max()) for each in found)
    if window:
        centre, width = window
        if not (math.isfinite(centre) and math.isfinite(width)):
            raise InputError(
                f"A window of {centre:g},{width:g} is no pair of numbers; give CENTRE,WIDTH such as 40,400."
            )
        if not width > 0:
            raise InputError(f"A window's width of {width:g} is not above 0.")
        return centre - width / 2, centre + width / 2
    some = np.concatenate([each.values.ravel()[:: max(1, each.values.size // 4096)] for each in found])
    low, high = (float(v) for v in np.percentile(some, (0.5, 99.5)))
    if not high > low:
        raise InputError("The slices are of a single grey; there is nothing to see.")
    return low, high


def _resampled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from skimage.transform import resize

    return resize(values, shape, order=1, anti_aliasing=True, preserve_range=True).astype(np.float32)


def _lesion(row: dict[str, str], code: str) -> Lesion | None:
    words = [(row.get(f"lesion_{name}") or "").strip() for name in ("x", "y", "radius")]
    if not any(words):
        return None
    try:
        lesion = Lesion(*map(float, words))
    except ValueError:
        raise InputError(f'The lesion of "{code}" is {", ".join(words)}; give x, y and radius in pixels.') from None
    if not all(map(math.isfinite, map(float, words))):
        raise InputError(f'The lesion of "{code}" is {", ".join(words)}; give x, y and radius in pixels.')
    if not lesion.radius > 0:
        raise InputError(f'The lesion of "{code}" has a radius of {lesion.radius:g}; it must be above 0.')
    return lesion


def _moved(lesion: Lesion, before: tuple[int, int], after: tuple[int, int]) -> Lesion:
    by_y, by_x = (b / a for a, b in zip(before, after, strict=True))
    return Lesion(lesion.x * by_x, lesion.y * by_y, lesion.radius * (by_x * by_y) ** 0.5)
