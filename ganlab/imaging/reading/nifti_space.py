"""Where a NIfTI file lies in the patient: its sform or its qform, and whether they contradict each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.volume import SCANNER, Origin
from ganlab.imaging.wording import times

ATLAS_SPACES = (3, 4)  # Talairach, MNI152
NIFTI_SPACES = range(1, 6)  # the codes that the standard defines; others are taken for 2, "aligned"
RESAVE = "open it in the program that made it and save it again as NIfTI"
APART_MM = 5.0  # of the first voxel, where both lead to one space


def nifti_space(fields: Any) -> tuple[np.ndarray, Origin, tuple[str, ...]]:
    """(affine, origin, notices) of a nibabel NIfTI header, whose voxel sizes are repaired in place. Raises InputError
    for one without a usable orientation."""
    from nibabel.spatialimages import HeaderDataError

    codes = {name: int(fields[f"{name}_code"]) for name in ("sform", "qform")}
    if max(codes.values()) <= 0:
        raise InputError(
            "has no spatial orientation (sform and qform codes are both 0), so that left and right cannot be "
            "told apart: convert it again from DICOM, for example with dcm2niix"
        )
    pixdim = fields["pixdim"]  # repaired as the standard's own library does
    pixdim[0] = -1 if pixdim[0] == -1 else 1
    pixdim[1:] = np.abs(pixdim[1:])
    scale = {1: 1e3, 3: 1e-3}.get(int(fields["xyzt_units"]) & 7, 1.0)
    usable = {}
    for name, code in codes.items():
        if code <= 0:
            continue
        try:
            with np.errstate(all="ignore"):
                affine = fields.get_sform() if name == "sform" else fields.get_qform()
        except (HeaderDataError, ValueError):  # quaternion or voxel size out of range
            continue
        if is_invertible(affine):
            usable[name] = np.diag([scale, scale, scale, 1.0]) @ affine
    if not usable:
        raise InputError(f"has an orientation matrix that is singular or not a number: {RESAVE}")
    notices = []
    if scale != 1.0:
        notices.append(f"The header gives lengths in {'metres' if scale > 1 else 'microns'}; they were converted.")
    if codes["sform"] > 0 and "sform" not in usable:
        notices.append("The header's sform is not usable; the orientation is that of its qform.")
    affine, *others = usable.values()
    if others and (difference := _disagreement(affine, others[0], codes)):
        notices.append(f"The header's two orientations disagree ({difference}): its sform was used, not its qform.")
    to_qform = others[0] @ np.linalg.inv(affine) if others and not np.allclose(others[0], affine, atol=1e-4) else None
    known = {name: codes[name] if codes[name] in NIFTI_SPACES else 2 for name in usable}
    return affine, Origin(known.get("sform", 0), known.get("qform", 0), to_qform), tuple(notices)


def _disagreement(sform: np.ndarray, qform: np.ndarray, codes: dict[str, int]) -> str:
    """How two affines of one file contradict each other; "" if they may both be right: they may lead to different
    spaces, and then differ by a motion, or by an affine map if the sform leads to an atlas."""
    if np.linalg.det(sform) * np.linalg.det(qform) < 0:
        return "one is the mirror image of the other"
    size, other = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (sform, qform))
    if codes["sform"] not in ATLAS_SPACES and not np.allclose(size, other, rtol=0.05):
        return f"voxels of {times(size.round(2).tolist())} mm against {times(other.round(2).tolist())} mm"
    if codes["sform"] == codes["qform"] and (mm := float(np.abs(sform - qform)[:3, 3].max())) > APART_MM:
        return f"the first voxel lies {mm:.0f} mm apart"
    return ""


def image_origin(image: Any) -> Origin:
    """The space of a nibabel image: of its NIfTI header, or scanner coordinates. Raises InputError for a NIfTI header
    without a usable orientation, where nibabel guesses one."""
    import nibabel as nib

    fields = image.header
    return nifti_space(fields.copy())[1] if isinstance(fields, nib.Nifti1Header) else SCANNER


def is_invertible(affine: np.ndarray) -> bool:
    """Whether a (4, 4) matrix is finite (within a kilometre) and its axes span more than 1/1000 of a box."""
    axes = np.asarray(affine, dtype=np.float64)[:3, :3]
    if not (np.abs(affine) < 1e6).all():
        return False
    lengths = np.linalg.norm(axes, axis=0)
    return bool((lengths > 0).all() and abs(np.linalg.det(axes / lengths)) > 1e-3)
