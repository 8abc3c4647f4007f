"""Is the reference of the head that was scanned? A stranger's CT gives numbers that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.imaging.fit import skull_fit
from ganlab.imaging.volume import Volume

DOUBTFUL_MM, STRANGER_MM = 1.6, 1.9  # between skulls: at most 1.3 in a head and its synthetic CT, else at least 1.75
MISPLACED_MM = 1.4  # motion between a head and its synthetic CT: at most 0.9, and 1.5 where it lies 2 mm off
COARSE_MM, SLACK = 2.0, 0.35  # in larger voxels surfaces are less certain: at 4 mm up to 2.3 mm apart in one head
NOT_COMPARED = (
    "The vault of the skull could not be compared, as the reference or the prediction shows none or much less of it: "
    "check yourself that the two are of one head."
)


def stranger(reference: Volume, predictions: Sequence[Volume]) -> tuple[bool, str]:
    """Whether no prediction has the skull of a reference CT, and a sentence for a doubt or for that; "" if all is well.

    The prediction that fits best decides, so that a poor model does not make a stranger of the patient.
    """
    fits = (skull_fit(each, reference) for each in predictions)
    distance, motion = min(fits, key=lambda fit: (fit.distance != fit.distance, fit.distance))
    slack = SLACK * max(0.0, float(reference.spacing.max()) - COARSE_MM)
    if distance != distance:
        return False, NOT_COMPARED
    how = (
        f"The skulls of the reference and of the prediction are {distance:.1f} mm apart after the best rigid motion, "
        f"where those of one head are at most {DOUBTFUL_MM + slack:g} mm apart"
    )
    if distance > STRANGER_MM + slack:
        return True, f"{how}: the reference is of another head, or badly distorted, so errors would mean nothing."
    doubts = []
    if distance > DOUBTFUL_MM + slack:
        doubts.append(f"{how}: check that the reference is of the same head before you use the errors.")
    if motion > MISPLACED_MM + slack:
        doubts.append(
            f"The skull of the reference lies {motion:.1f} mm from that of the prediction, and fits after a rigid "
            "motion: the two are not aligned, which all errors below include. Register the reference to the scan first."
        )
    return False, " ".join(doubts)
