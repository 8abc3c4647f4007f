"""What in a CT is unlike the adult heads that networks are trained on: cut, clipped, filled, or lying another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganlab.imaging.background import sampled
from ganlab.imaging.grid import canonical
from ganlab.imaging.head_features import head_features
from ganlab.imaging.plausibility import doubts_of_view
from ganlab.imaging.volume import Volume
from ganlab.translation.contrasts import CT, T1
from ganlab.translation.orientation import wrong_way

BETTER = 0.03  # as of `orientation`, where a CT's drawn T1 is compared: upright heads fit best, by 0.03 at least
CLIPPED_HU, CLIPPED = (200.0, 1800.0), 2e-4  # of all voxels at the largest value: teeth and fillings are beyond
FILLED_HU = -300.0  # a constant beyond the field of view that is above this is not air
FILLED = 0.02  # of all voxels


def check_ct(ct: Volume) -> list[str]:
    """Notices on a CT in HU that shows no whole, upright, adult head, or is not as it was reconstructed."""
    from ganlab.phantoms.scanned.tissues import patient_mask

    coarse = canonical(sampled(ct))
    doubts = _doubts_of_values(coarse.array)
    patient = np.where(patient_mask(coarse.array), coarse.array, -1000.0)
    drawn = replace(coarse, array=np.interp(patient / 1000, CT, T1).astype(np.float32))
    doubts += doubts_of_view(head_features(drawn, drawn.array), stripped=False)
    turned = wrong_way(drawn, BETTER)
    return [*doubts, turned] if turned else doubts


def _doubts_of_values(hu: np.ndarray) -> list[str]:
    doubts, highest = [], float(hu.max())
    if CLIPPED_HU[0] <= highest <= CLIPPED_HU[1] and (share := float((hu == highest).mean())) > CLIPPED:
        doubts.append(
            f"{share:.2%} of the voxels have exactly the largest value, {highest:.0f} HU, so the CT was clipped: "
            "models know bone up to 3000 HU; give the CT before it was clipped."
        )
    corners = hu[np.ix_(*[(0, -1)] * 3)].ravel()
    values, counts = np.unique(corners, return_counts=True)
    fill = float(values[counts.argmax()])
    if counts.max() >= 4 and fill > FILLED_HU and (share := float((hu == fill).mean())) > FILLED:
        doubts.append(
            f"The corners of the field of view hold {fill:.0f} HU, in {share:.0%} of the voxels, where there is air at "
            "-1000: models take it for tissue; set them to -1000."
        )
    return doubts
