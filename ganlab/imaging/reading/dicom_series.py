"""DICOM slices as series: what belongs to one volume, which volume to read, and what else there is.

Slices of one series have one SeriesInstanceUID, study, patient and size, and one orientation and pixel spacing within a
tolerance: scanners and anonymisers round these differently from slice to slice. Where places repeat, the series holds
several volumes (echoes, image types, ...) or time points.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.reading.dicom_elements import Unusable
from ganlab.imaging.reading.dicom_slices import COMPUTED, Slice, slices_of
from ganlab.imaging.wording import shown, times

SAME_DIRECTION = 0.01  # between direction cosines: 0.6 degrees
SAME_SPACING = 0.01  # share of the pixel spacing
SAME_VALUE = 0.01  # share of an echo time, a flip angle, ...
SAME_PLACE = 0.02  # mm; slices closer than this are repeats of one slice
SHARED_PLACES = 0.1  # parts that share more of their places than this are two volumes
LEAST_EXTENT, MAX_SLICE_STEP = 40.0, 20.0  # mm: of a volume, and between neighbouring slices
Value = str | float | None
KINDS = (  # name and unit of each of Slice.kinds
    ("", ""),
    ("echo", ""),
    ("TE", "ms"),
    ("TI", "ms"),
    ("TR", "ms"),
    ("flip", "\N{DEGREE SIGN}"),
    ("b", "s/mm²"),
    ("", ""),
    ("", "kV"),
)
T1 = re.compile(r"t1(?!rho|\s*map)|mp-?2?rage|spgr|bravo|fspgr|tfl|3d.?tfe|adni", re.IGNORECASE)


@dataclass(frozen=True)
class Series:
    """A volume among DICOM files.

    key: what names it, its series number ("5"), or that and a letter where a series holds several volumes ("5b").
    kind: what tells it from other volumes of its series, such as "phase" or "echo 4.6 ms".
    slices: one for each place, in order along their normal, of the first time point that is complete. times: number of
    time points. repeats: slices at a place that has one already, other than of time points. copies: slices that are
    there twice.
    """

    key: str
    kind: str
    slices: tuple[Slice, ...]
    times: int
    repeats: int
    copies: int

    @property
    def description(self) -> str:
        return self.slices[0].file.description

    @property
    def modality(self) -> str:
        return self.slices[0].file.modality

    @property
    def step(self) -> float:
        """From slice to slice, the median, in mm."""
        return float(np.median(np.diff(heights_of(self.slices)))) if len(self.slices) > 1 else 0.0

    @property
    def thickness(self) -> float:
        """Of a slice, in mm."""
        return self.slices[0].thickness or self.step

    @property
    def problem(self) -> str:
        """Why no head can be read from it; "" if there is no reason."""
        if len(self.slices) < 2:
            return "one slice and not a volume"
        heights, (rows, columns) = heights_of(self.slices), self.slices[0].size
        row_step, column_step = self.slices[0].spacing
        if (gap := np.diff(heights).max()) > MAX_SLICE_STEP:
            return f"neighbouring slices {gap:.1f} mm apart"
        extent = [columns * column_step, rows * row_step, heights[-1] - heights[0] + self.step]
        return f"covers only {times(round(float(e)) for e in extent)} mm" if min(extent) < LEAST_EXTENT else ""

    @property
    def facts(self) -> str:
        """Slices, distance, thickness, time points and size in words."""
        thick = f", {self.thickness:.3g} mm thick" if abs(self.thickness - self.step) > 0.01 * self.step else ""
        words = [f"{len(self.slices)} slices every {self.step:.3g} mm{thick}" if self.step else "1 slice"]
        words += [f"{self.times} time points"] if self.times > 1 else []
        return ", ".join([*words, times(self.slices[0].size[::-1])])

    def label(self) -> str:
        """A line for a list of choices."""
        return " \N{MIDDLE DOT} ".join(filter(None, [self.key, self.description, self.kind, self.facts]))

    def __str__(self) -> str:
        kind = f"{self.kind}, " if self.kind else ""
        return f'{self.key} "{self.description}" ({kind}{self.facts})'


@dataclass(frozen=True)
class _Volume:
    """The slices of a volume, time point by time point, and how many slices of its group were there twice."""

    points: list[list[Slice]]
    copies: int

    @property
    def first(self) -> Slice:
        return self.points[0][0]


def heights_of(slices: Iterable[Slice]) -> np.ndarray:
    """Places along the first slice's normal, in mm."""
    slices = list(slices)
    return np.array([slice_.position for slice_ in slices]) @ slices[0].normal


def find_series(paths: list[Path], max_voxels: int) -> tuple[list[Series], list[tuple[Path, str]]]:
    """(the volumes among DICOM files by their keys, the files that cannot be used and why)."""
    slices: list[Slice] = []
    unusable: list[tuple[Path, str]] = []
    for path in paths:
        try:
            slices += slices_of(path, max_voxels)
        except Unusable as reason:
            unusable.append((path, str(reason)))
    return _named([volume for group in _groups(slices) for volume in _volumes(group)]), unusable


def choose(series: list[Series], wanted: str | None, modality: str, name: str) -> Series:
    """The series that `wanted` names: a key, a SeriesInstanceUID or, unless it is a number, a part of a description. If
    None, the one that is most probably meant. Raises InputError, listing what there is, if `wanted` names none or
    several."""
    if wanted is None:
        return min(series, key=lambda each: _unlikeliness(each, modality))
    text = wanted.strip().lower()
    matches = (
        [each for each in series if each.key.lower() == text]
        or [each for each in series if each.key.rstrip(ascii_lowercase) == text]  # 5a and 5b, of "5"
        or [each for each in series if each.slices[0].file.series == wanted.strip()]
        or [each for each in series if text and not text.isdecimal() and text in each.description.lower()]
    )
    if len(matches) == 1:
        return matches[0]
    listed = "; ".join(map(str, (matches or series)[:8]))
    more = f" and {len(matches or series) - 8} more" if len(matches or series) > 8 else ""
    count = f"{len(matches)} series" if matches else "no series"
    raise InputError(f'{name} holds {count} "{shown(wanted, 40)}"; choose by number from: {listed}{more}.')


def _unlikeliness(series: Series, modality: str) -> tuple:
    """Sorts series by how little they look like what is wanted."""
    file = series.slices[0].file
    words = set(str(series.slices[0].kinds[0]).split("\\"))
    is_t1 = modality != "t1" or bool(T1.search(file.description))
    return (
        bool(series.problem),
        (file.modality == "CT") != (modality == "ct") and modality != "unknown",
        series.slices[0].part != "magnitude",
        bool(words & COMPUTED),
        not is_t1 or (modality == "t1" and file.enhanced),
        series.times > 1,
        -len(series.slices),
        file.enhanced,
    )


def _volumes(slices: list[Slice]) -> list[_Volume]:
    """The volumes among slices of one series and one geometry."""
    unique = _without_copies(slices)
    places = _places(unique)
    parts = [unique]
    for k in range(len(unique[0].kinds)):
        parts = [piece for part in parts for piece in _split(part, places, [each.kinds[k] for each in part])]
    return [_Volume(_time_points(part, places), len(slices) - len(unique)) for part in parts]


def _groups(slices: list[Slice]) -> list[list[Slice]]:
    """Slices of one series, study, patient, size and part whose directions and spacing are those of the group's first
    slice, within the tolerances."""
    exact: dict[tuple, list[Slice]] = defaultdict(list)
    counts = [Counter((each.file.series, getattr(each.file, name)) for each in slices) for name in ("study", "patient")]
    for slice_ in slices:
        file = slice_.file
        person = tuple(  # some anonymisers give each file new ones
            who if counted[file.series, who] > 1 else ""
            for counted, who in zip(counts, (file.study, file.patient), strict=True)
        )
        exact[file.series, *person, slice_.size, slice_.part, slice_.file.modality].append(slice_)
    groups: list[list[Slice]] = []
    for same in exact.values():
        first, found = np.empty((len(same), 8)), 0  # geometry of each group's first slice
        of_same: list[list[Slice]] = []
        for slice_ in same:
            geometry = np.array([*slice_.orientation.ravel(), *np.log(slice_.spacing)])
            off = np.abs(first[:found] - geometry)
            alike = (off[:, :6].max(1, initial=0) < SAME_DIRECTION) & (off[:, 6:].max(1, initial=0) < SAME_SPACING)
            if alike.any():
                of_same[int(np.argmax(alike))].append(slice_)
            else:
                first[found], found = geometry, found + 1
                of_same.append([slice_])
        groups += of_same
    return groups


def _without_copies(slices: list[Slice]) -> list[Slice]:
    """One of the slices with the same image identifier, frame and position."""
    seen: dict[tuple, Slice] = {}
    for slice_ in slices:
        image = slice_.file.image or str(slice_.file.path)
        seen.setdefault((image, slice_.frame, slice_.tile, slice_.position), slice_)
    return list(seen.values())


def _places(slices: list[Slice]) -> dict[Slice, int]:
    """The place of each slice along the normal: 0, 1, 2, ..."""
    heights = heights_of(slices)
    order = np.argsort(heights, kind="stable")
    place = np.cumsum(np.diff(heights[order], prepend=heights[order[0]]) > SAME_PLACE)
    return {slices[k]: int(at) for k, at in zip(order, place, strict=True)}


def _split(slices: list[Slice], places: dict[Slice, int], values: list[Value]) -> list[list[Slice]]:
    """Slices in parts that differ in their values and lie at the same places. Parts at different places, as where a
    scanner labels the first half of a stack in another way, stay together, and so do a few repeated slices."""
    if len(slices) <= (1 + SHARED_PLACES) * len({places[each] for each in slices}):
        return [slices]
    bins: list[tuple[list[Slice], set[int]]] = []
    for part in _by_value(slices, values):
        at = {places[each] for each in part}
        home = next((each for each in bins if len(at & each[1]) <= SHARED_PLACES * len(at)), None)
        if home is None:
            bins.append((part, at))
        else:
            home[0].extend(part)
            home[1].update(at)
    return [part for part, _ in bins]


def _by_value(slices: list[Slice], values: list[Value]) -> list[list[Slice]]:
    """Slices by value, in ascending order; numbers that differ by less than SAME_VALUE are one."""
    with_value = list(zip(values, slices, strict=True))
    parts: list[list[Slice]] = [[each for found, each in with_value if found is None]]
    last: Value = None
    for found, each in sorted(((f, e) for f, e in with_value if f is not None), key=lambda pair: pair[0]):
        if last is None or not _same(last, found):
            parts.append([])
            last = found
        parts[-1].append(each)
    return [part for part in parts if part]


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= SAME_VALUE * max(abs(one), abs(other))
    return one == other


def _time_points(slices: list[Slice], places: dict[Slice, int]) -> list[list[Slice]]:
    """The time points of a volume, complete ones first, each with one slice for a place, in order along the normal."""
    parts = (
        [slices] if slices[0].tile is None else _by_value(slices, [each.times[0] for each in slices])
    )  # a mosaic is a time point
    for k in range(1, len(slices[0].times)):
        parts = [piece for part in parts for piece in _split(part, places, [each.times[k] for each in part])]
    points = [point for part in parts for point in _repeats(part, places)]
    most = max(len(point) for point in points)
    return sorted(points, key=lambda point: len(point) < 0.9 * most)


def _repeats(slices: list[Slice], places: dict[Slice, int]) -> list[list[Slice]]:
    """The first slice of each place, the second, ..., by instance number."""
    points: list[dict[int, Slice]] = []
    repeat: Counter[int] = Counter()
    for slice_ in sorted(slices, key=lambda s: s.instance):
        at = places[slice_]
        if repeat[at] == len(points):
            points.append({})
        points[repeat[at]][at] = slice_
        repeat[at] += 1
    return [[point[at] for at in sorted(point)] for point in points]


def _named(volumes: list[_Volume]) -> list[Series]:
    """The series with their keys. Series without a number, or with that of another one, get the next free number;
    volumes of one series get letters."""
    of_series: dict[tuple[str, str], list[_Volume]] = defaultdict(list)
    for volume in sorted(volumes, key=lambda each: (*_number(each.first), each.first.instance)):
        of_series[volume.first.file.series, volume.first.file.number].append(volume)
    numbers: list[str] = []
    result = []
    for (_, number), group in of_series.items():
        free = max([0, *(int(each) for each in numbers if each.isdecimal())]) + 1
        numbers.append(number if number and number not in numbers else str(free))
        for k, volume in enumerate(group):
            letter = "" if len(group) == 1 else _letters(k)
            whole = [point for point in volume.points if len(point) >= 0.5 * len(volume.points[0])]
            repeats = sum(map(len, volume.points)) - sum(map(len, whole))
            result.append(
                Series(
                    key=numbers[-1] + letter,
                    kind=_difference(volume.first, [each.first for each in group]),
                    slices=tuple(volume.points[0]),
                    times=len(whole),
                    repeats=repeats,
                    copies=volume.copies,
                )
            )
    return result


def _difference(one: Slice, others: list[Slice]) -> str:
    """What tells a volume from others of its series."""
    words: list[str] = [one.part] if one.part != "magnitude" else []
    if len({each.file.patient for each in others}) > 1:
        words.append(f"patient {shown(one.file.patient, 16)}")
    for k, (name, unit) in enumerate(KINDS):
        values = {each.kinds[k] for each in others if each.part == one.part}
        if len(values) > 1 and one.kinds[k] not in (None, ""):
            shared = set.intersection(*(set(str(value).split("\\")) for value in values))
            own = [word for word in str(one.kinds[k]).split("\\") if word not in shared]
            value = one.kinds[k]
            words.append(f"{name} {value:g} {unit}".strip() if isinstance(value, float) else " ".join(own)[:24])
    return ", ".join(word for word in words[:2] if word)


def _number(slice_: Slice) -> tuple[float, str]:
    number = slice_.file.number
    return (float(number) if number.isdecimal() else np.inf), slice_.file.series


def _letters(k: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letters(k // 26 - 1) if k >= 26 else "") + chr(ord("a") + k % 26)
