"""Is the reference of the head that was scanned? A stranger's CT gives numbers that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.imaging.fit import skull_distance
from ganlab.imaging.volume import Volume

DOUBTFUL_MM, STRANGER_MM = 1.6, 1.9  # between skulls: at most 1.3 in a head and its synthetic CT, else at least 1.75
COARSE_MM, SLACK = 2.0, 0.35  # in larger voxels surfaces are less certain: at 4 mm up to 2.3 mm apart in one head
NOT_COMPARED = (
    "The vault of the skull could not be compared, as the reference or the prediction shows none or much less of it: "
    "check yourself that the two are of one head."
)


def stranger(reference: Volume, predictions: Sequence[Volume]) -> tuple[bool, str]:
    """Whether no prediction has the skull of a reference CT, and a sentence for a doubt or for that; "" if all is well.

    The prediction that fits best decides, so that a poor model does not make a stranger of the patient.
    """
    distance = min((skull_distance(each, reference) for each in predictions), key=lambda mm: (mm != mm, mm))
    slack = SLACK * max(0.0, float(reference.spacing.max()) - COARSE_MM)
    if distance != distance:
        return False, NOT_COMPARED
    if distance <= DOUBTFUL_MM + slack:
        return False, ""
    how = (
        f"The skulls of the reference and of the prediction are {distance:.1f} mm apart after the best rigid motion, "
        f"where those of one head are at most {DOUBTFUL_MM + slack:g} mm apart"
    )
    if distance > STRANGER_MM + slack:
        return True, f"{how}: the reference is of another head, or badly distorted, so errors would mean nothing."
    return False, f"{how}: check that the reference is of the same head before you use the errors."
