"""Is it a T1-weighted scan of a whole human head? What certainly is not is refused, what hardly is gets a notice.

The limits lie between phantoms of all contrasts and scanners, two real T1 and two real CT heads, their parts, halves
and rescaled copies, atlases, a macaque's brain and noise: see tests/imaging/test_plausibility.py.
"""

from __future__ import annotations

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.head_features import HeadFeatures, head_features
from ganlab.imaging.volume import Volume

EQUAL = 0.45  # neighbours with the same value: at most 0.12 in scans, at least 0.58 in label maps
HIGHEST_LABEL = 500  # of common atlases; beyond it, a scan with few values is said to be drawn and not refused
# CT: at least 0.64 of a head has one value (MR: at most 0.43), bone is twice as bright, and the scalp is not.
CT_PEAK, CT_SKULL, CT_SCALP = 0.52, 1.5, 1.3
SMOOTH = 0.3  # correlation of neighbours: at least 0.5 in scans, 0 in noise
SMALL_LITRES, SMALL_MM = 0.35, 130.0  # a human brain has at least 0.4 litres at birth
CUT = 0.25  # of the largest section
VAULT_MM = 110.0
CHILD_MM, CHILD_BRAIN_MM = 135.0, 115.0  # width of a head and of a brain
LARGE_MM = (210.0, 270.0, 330.0)  # from side to side, back to front, bottom to top, with neck and shoulders
CLIPPED = 0.09  # of the head at the scan's largest value: fat alone is less; bone in a window of CT is more
SYMMETRY = 0.35  # at least 0.5 in heads that are not rotated
RANK = 0.55  # white matter brighter than this share of the brain: at least 0.62 on T1, at most 0.48 on FLAIR
BRIGHT_FLUID, DARK_FLUID = 1.7, 0.25  # fluid relative to white matter, and in itself
BRIGHT_SHARE = 0.008  # of the brain: 0.003 on T1, more with a bleed or a contrast agent
FA_SPREAD, FA_SURFACE = 0.45, 0.6
BLURRED = 0.375  # detail: at least 0.42 in scans of 2 mm, at most 0.365 in those blurred to 4.7 mm
DETAIL, WIDTH_OF = (0.275, 0.3, 0.345, 0.375), (9.4, 7.1, 4.7, 3.5)  # detail, and mm of a blur that leaves it
AXES = ("left to right", "back to front", "bottom to top")
FACES = ("left", "right", "back", "front", "bottom", "top")


def check_t1(scan: Volume, stored: np.ndarray, stripped: bool = False) -> list[str]:
    """Notices on what in a scan is unlike the T1-weighted adult heads that networks are trained on.

    scan: as `normalise_mr` gives it; stored: its voxels as in the file; stripped: whether it shows the brain alone.
    Raises InputError for label maps, CT with an offset, noise, and what is far smaller than a head.
    """
    features = check_mr(scan, stored)
    extent = " x ".join(f"{mm:.0f}" for mm in features.extent)
    cut = max(features.cut[:4] + features.cut[5:])  # the neck may be cut
    if features.litres < SMALL_LITRES and max(features.extent) < SMALL_MM and cut <= CUT:
        raise InputError(
            f"The object measures {extent} mm and {features.litres:.2g} litres, less than a newborn's brain: an "
            "animal, or a wrong voxel size. Models are made for human heads; correct the voxel size if it is one."
        )
    doubts = doubts_of_view(features, stripped)
    if features.equal > EQUAL:
        doubts.insert(
            0,
            f"{features.equal:.0%} of neighbouring voxels have exactly the same value, as in a drawing, a mask or a "
            "map of labels: models know scans with noise, so expect a result that is as crude.",
        )
    elif features.clipped > CLIPPED:
        doubts.insert(
            0,
            f"{features.clipped:.0%} of the head have exactly the scan's largest value, so it was clipped (a CT in a "
            "window, or a T1 with too low a maximum): expect wrong values there; give the scan before it was clipped.",
        )
    doubts += [
        f"{mm:.0f} mm of slices from {axis} show nothing, in the middle of the head: slices are missing there, and the "
        "result is made up."
        for mm, axis in zip(features.empty, AXES, strict=True)
        if mm
    ]
    doubts += _doubts_of_detail(features)
    if cut <= CUT and features.extent[2] >= VAULT_MM:  # else it is not known where the white matter is
        doubts += _doubts_of_contrast(features, stripped, float(stored.max()))
    return doubts


def check_mr(scan: Volume, stored: np.ndarray) -> HeadFeatures:
    """The features of a scan (see `check_t1`) of anything, man or animal. Raises InputError if it is no MR scan."""
    features = head_features(scan, stored)
    if features.equal > EQUAL and _are_labels(stored):
        raise InputError(
            f"{features.equal:.0%} of neighbouring voxels have exactly the same value, so this looks like a label map "
            "or an atlas: give the T1-weighted scan."
        )
    if features.smooth < SMOOTH and features.equal <= EQUAL:  # a constant has no correlation either
        raise InputError("Neighbouring voxels have nothing in common, so this looks like noise: give a scan of a head.")
    if features.peak > CT_PEAK and features.skull > CT_SKULL and features.scalp < CT_SCALP:
        raise InputError(
            f"{features.peak:.0%} of the head have nearly the same value and bone is {features.skull:.1f} times as "
            "bright, so this looks like a CT with another offset or scale than HU: give the T1-weighted scan."
        )
    return features


def _are_labels(stored: np.ndarray) -> bool:
    """Whether all values are whole numbers such as an atlas has."""
    return bool(stored.min() >= 0 and stored.max() <= HIGHEST_LABEL and (stored == np.rint(stored)).all())


def doubts_of_view(features: HeadFeatures, stripped: bool) -> list[str]:
    """Notices on a head that is cut, or that has not the size and the symmetry of an adult's."""
    cut = [name for name, share in zip(FACES, features.cut, strict=True) if share > CUT and name != "bottom"]
    width, length = features.extent[0], features.extent[2]
    if len(cut) == len(FACES) - 1:
        return [
            "No outline of a head is visible: the field of view lies inside it, or the air is filled with bright noise "
            "(as in uniform images of MP2RAGE, which need their background removed). Expect a poor result."
        ]
    doubts = []
    if cut:
        doubts.append(
            f"The field of view cuts the head at the {' and '.join(cut)}: models know whole heads, so expect errors "
            "near the cut and a less certain scale."
        )
    if length < VAULT_MM and features.cut[4] > CUT:
        doubts.append(f"Only {length:.0f} mm of the head are covered from bottom to top: expect errors at the end.")
    if "left" in cut or "right" in cut:
        return doubts
    if width < (CHILD_BRAIN_MM if stripped else CHILD_MM):
        doubts.append(
            f"The {'brain' if stripped else 'head'} is {width:.0f} mm wide, as a child's: models know adults, whose "
            "skull is thicker and denser, so expect theirs (or correct the voxel size)."
        )
    for mm, limit, how in zip(features.extent, LARGE_MM, ("wide", "long", "high"), strict=True):
        if mm > limit:
            doubts.append(f"The head is {mm:.0f} mm {how}, more than heads are: check the voxel size.")
    if features.symmetry < SYMMETRY:
        doubts.append(
            f"Left and right differ more than in a head (correlation {features.symmetry:.2f}): check that it is one, "
            "and that its axes are labelled rightly."
        )
    return doubts


def _doubts_of_detail(features: HeadFeatures) -> list[str]:
    blurred = [k for k, detail in enumerate(features.detail) if detail < BLURRED]
    if not blurred:
        return []
    width = float(np.interp(min(features.detail[k] for k in blurred), DETAIL, WIDTH_OF))
    where = "" if len(blurred) == 3 else f" from {' and '.join(AXES[k] for k in blurred)}"
    return [
        f"The scan shows no detail below about {width:.0f} mm{where}, whatever its voxel size, as if it had been "
        "smoothed or had thicker slices: thin bone and small air spaces are lost in it, and the interval of confidence "
        "does not know that. Give the scan as it was acquired."
    ]


def _doubts_of_contrast(features: HeadFeatures, stripped: bool, highest: float) -> list[str]:
    expect = "models know T1-weighted scans only, so expect wrong values everywhere"
    if stripped and highest <= 1.5 and features.spread > FA_SPREAD and features.surface < FA_SURFACE:
        return [f"This looks like a map of FA and not like a T1-weighted scan: {expect}."]
    if features.rank < RANK:
        low, high = features.fluid
        if high > BRIGHT_FLUID * features.white:
            name = "fluid is brighter than the brain, as on T2-weighted scans and EPI"
        elif low < DARK_FLUID:
            name = "white matter is darker than grey and fluid is dark, as on FLAIR"
        else:
            name = "white matter is not the brightest part of the brain, as on proton-density scans and in infants"
        return [f"This does not look T1-weighted ({name}): {expect}."]
    if features.bright > BRIGHT_SHARE:
        return [
            f"{features.bright:.1%} of the brain are brighter than white matter by a third or more, as after a "
            "contrast agent or a bleed: models have not seen vessels that enhance, so expect bone or air there."
        ]
    return []
