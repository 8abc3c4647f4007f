"""Error metrics of a synthetic volume against a reference: one fixed definition per metric, named in the output.

Sources: Wolterink et al. 2017 (MAE, PSNR; arXiv:1708.01155), the evaluation of the SynthRAD2023 challenge
(PSNR, SSIM; Huijben et al. 2024, doi:10.1016/j.media.2024.103276), Wang et al. 2004 (SSIM), Dice 1945.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import same_grid
from ganlab.imaging.masks import AIR_BODY_HU, head_mask
from ganlab.imaging.volume import Volume

BONE_HU = 250.0
WHITE_MATTER_FA = 0.2  # the usual threshold of tract-based statistics (Smith et al. 2006)
DARK_T1, BRIGHT_T1 = 0.35, 1.15  # of white matter: bone, air and fluid lie below, fat above
OPPOSITE = -0.2  # a correlation below this suggests an inverted image
SSIM_WINDOW = 7
SLAB = 32  # slices of the SSIM map computed at a time, which bounds its memory


@dataclass(frozen=True)
class Scale:
    """The scale that a task's output is measured on.

    limits: the range SynthRAD2023's PSNR and SSIM clip to; its width is their dynamic range.
    peak: the numerator of the unclipped PSNR.
    tissues: name -> (the rule in words, the rule), applied to the reference.
    overlap: the tissue whose Dice overlap is reported.
    """

    unit: str
    limits: tuple[float, float]
    peak: float
    tissues: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]]
    overlap: str


SCALES = {
    "mr2ct": Scale(
        unit="HU",
        limits=(-1024.0, 3000.0),
        peak=4095.0,
        tissues={
            "air": ("< -200 HU", lambda hu: hu < AIR_BODY_HU),
            "soft": ("-200 to 250 HU", lambda hu: (hu >= AIR_BODY_HU) & (hu <= BONE_HU)),
            "bone": ("> 250 HU", lambda hu: hu > BONE_HU),
        },
        overlap="bone",
    ),
    "t1fa": Scale(
        unit="FA",
        limits=(0.0, 1.0),
        peak=1.0,
        tissues={
            "grey_matter_and_fluid": ("FA <= 0.2", lambda fa: fa <= WHITE_MATTER_FA),
            "white_matter": ("FA > 0.2", lambda fa: fa > WHITE_MATTER_FA),
        },
        overlap="white_matter",
    ),
    "ct2mr": Scale(
        unit="of white matter",
        limits=(0.0, 2.0),
        peak=2.0,
        tissues={
            "dark": ("< 0.35 of white matter", lambda t1: t1 < DARK_T1),
            "brain_and_muscle": ("0.35 to 1.15", lambda t1: (t1 >= DARK_T1) & (t1 <= BRIGHT_T1)),
            "bright": ("> 1.15", lambda t1: t1 > BRIGHT_T1),
        },
        overlap="dark",
    ),
}


def evaluate(
    reference: Volume, prediction: Volume, mask: Volume | np.ndarray | None = None, task: str = "mr2ct"
) -> dict:
    """Compare a prediction with its reference on the same grid, inside a mask.

    mask: voxels > 0 of a volume on the same grid, or of an array of the same shape. None: the head mask of the
    reference CT (mr2ct), or the reference's voxels above 0 (t1fa, ct2mr).

    Returns a dict that serialises to JSON: task, unit, mask (how it was made), voxels (in the mask), mae, mean_error,
    mse, correlation, psnr, psnr_synthrad, ssim, dice {tissue: overlap}, tissues {name: {range, voxels, mae,
    mean_error}}, definitions {name: sentence} and notices [sentence]. A number that is undefined (a tissue without
    voxels) or infinite (the PSNR of identical images) is None.

    Raises InputError for an unknown task, different grids, voxels that are not finite, a constant reference and an
    empty mask.
    """
    if task not in SCALES:
        raise InputError(f"There are no metrics for the task {task!r}: choose one of {', '.join(SCALES)}.")
    scale = SCALES[task]
    check_same_grid("prediction", prediction, reference)
    for name, volume in (("reference", reference), ("prediction", prediction)):
        check_finite(name, volume.array)
    if reference.array.min() == reference.array.max():
        raise InputError(
            f"The reference is {reference.array.flat[0]:g} everywhere: choose a volume with an image in it."
        )

    inside, mask_source = _mask(mask, reference, task)
    ref = reference.array[inside].astype(np.float64)
    pred = prediction.array[inside].astype(np.float64)
    error = pred - ref
    low, high = scale.limits
    rule = scale.tissues[scale.overlap][1]
    return {
        "task": task,
        "unit": scale.unit,
        "mask": mask_source,
        "voxels": int(ref.size),
        "mae": _number(np.abs(error).mean()),
        "mean_error": _number(error.mean()),
        "mse": _number(np.square(error).mean()),
        "correlation": _number(correlation(ref, pred)),
        "psnr": _number(psnr(ref, pred, scale.peak)),
        "psnr_synthrad": _number(psnr(ref.clip(low, high), pred.clip(low, high), high - low)),
        "ssim": _number(ssim_synthrad(reference.array, prediction.array, inside, scale.limits)),
        "dice": {scale.overlap: _number(dice(rule(ref), rule(pred)))},
        "tissues": {
            name: {"range": rule_text, **_tissue(error[rule(ref)])} for name, (rule_text, rule) in scale.tissues.items()
        },
        "definitions": _definitions(scale),
        "notices": _notices(reference, prediction, scale, correlation(ref, pred)),
    }


def format_table(result: dict) -> str:
    """The result of `evaluate` as a plain table; a dash where a number is undefined or infinite."""
    unit = result["unit"]
    rows = [
        ("MAE", result["mae"], unit),
        ("mean error", result["mean_error"], unit),
        ("MSE", result["mse"], f"{unit}^2"),
        ("PSNR", result["psnr"], "dB"),
        ("PSNR, SynthRAD", result["psnr_synthrad"], "dB"),
        ("SSIM", result["ssim"], ""),
        *((f"Dice, {tissue}", overlap, "") for tissue, overlap in result["dice"].items()),
    ]
    lines = [f"{result['voxels']:,} voxels, mask: {result['mask']}", ""]
    lines += [f"{name:<24}{_text(value):>12} {unit_}".rstrip() for name, value, unit_ in rows]
    lines += ["", f"{f'tissue, {unit}':<36}{'voxels':>12}{'MAE':>12}{'mean error':>12}"]
    lines += [
        f"{name + ' (' + tissue['range'] + ')':<36}{tissue['voxels']:>12,}"
        f"{_text(tissue['mae']):>12}{_text(tissue['mean_error']):>12}"
        for name, tissue in result["tissues"].items()
    ]
    if confidence := result.get("confidence"):
        lines += [
            "",
            f"confidence: {confidence['coverage']:.1%} of the voxels are within their 90 % interval, on average "
            f"\N{PLUS-MINUS SIGN}{_text(confidence['half_width'])} {unit}; within the confident 90 % of voxels: MAE "
            f"{_text(confidence['mae_confident'])}, in the rest {_text(confidence['mae_rest'])} {unit}",
        ]
    lines += ["", *result["notices"]] if result["notices"] else []
    return "\n".join(lines)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two arrays of the same shape; NaN if one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / norm) if norm > 0 else math.nan


def psnr(reference: np.ndarray, prediction: np.ndarray, data_range: float = 4095.0) -> float:
    """Peak signal-to-noise ratio, dB: 20 log10(data_range / sqrt(MSE)); infinite for equal arrays.

    The default range is that of 12-bit CT (Wolterink et al. 2017).
    """
    mse = np.square(np.subtract(reference, prediction, dtype=np.float64)).mean()
    return math.inf if mse == 0 else float(20 * math.log10(data_range) - 10 * math.log10(mse))


def ssim_synthrad(
    reference: np.ndarray,
    prediction: np.ndarray,
    mask: np.ndarray | None = None,
    limits: tuple[float, float] = SCALES["mr2ct"].limits,
) -> float:
    """Structural similarity as SynthRAD2023 computes it, -1 to 1.

    Both arrays (of the same shape, any number of dimensions) are clipped to the limits, set to the lower limit
    outside the mask and shifted to start at 0. The map is

        (2 mx my + C1) (2 sxy + C2) / ((mx^2 + my^2 + C1) (sx^2 + sy^2 + C2)),  C1 = (.01 L)^2, C2 = (.03 L)^2

    over uniform windows of 7 voxels along each axis with sample covariances, L the width of the limits
    (scikit-image's default; Wang et al. 2004). Its mean is taken over the mask, without the outermost 3
    voxels of the volume, whose windows are incomplete; NaN if that leaves no voxel.
    """
    from skimage.metrics import structural_similarity

    low, high = limits
    pad = SSIM_WINDOW // 2
    mask = np.ones(reference.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    inner = (slice(pad, -pad),) * mask.ndim
    if not mask[inner].any():
        return math.nan
    extent = [_extent(mask[inner], axis) for axis in range(mask.ndim)]  # indices of the complete windows
    total, count = 0.0, 0
    first, last = extent[0]
    for start in range(first, last, SLAB):
        rows = (start, min(start + SLAB, last))
        window = tuple(slice(a, b + 2 * pad) for a, b in (rows, *extent[1:]))
        valid = mask[window]
        images = (
            np.where(valid, np.clip(image[window], low, high, dtype=np.float64) - low, 0.0)
            for image in (reference, prediction)
        )
        _, similarity = structural_similarity(*images, win_size=SSIM_WINDOW, data_range=high - low, full=True)
        total += similarity[inner][valid[inner]].sum()
        count += int(np.count_nonzero(valid[inner]))
    return float(total / count)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks of the same shape, 0 to 1: 2 |A and B| / (|A| + |B|) (Dice 1945).

    NaN if both are empty.
    """
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else math.nan


def lesion_contrast_ratio(image: np.ndarray, lesion: np.ndarray, normal_white_matter: np.ndarray) -> float:
    """Mean of the image in the lesion divided by its mean in normal-appearing white matter; 1 is no contrast.

    image: any shape; lesion, normal_white_matter: masks of that shape.
    Raises InputError for an empty mask or a white matter mean of 0.
    """
    means = []
    for name, mask in (("lesion", lesion), ("normal-appearing white matter", normal_white_matter)):
        mask = np.asarray(mask, dtype=bool)
        if not mask.any():
            raise InputError(f"The mask of the {name} is empty: give one with at least one voxel.")
        means.append(image[mask].mean(dtype=np.float64))
    if means[1] == 0:
        raise InputError(
            "The normal-appearing white matter has mean 0, so there is no ratio to it: give the image before "
            "its intensities were centred."
        )
    return float(means[0] / means[1])


def _mask(mask: Volume | np.ndarray | None, reference: Volume, task: str) -> tuple[np.ndarray, str]:
    """(boolean array, how it was made)."""
    if mask is None and task == "mr2ct":
        return head_mask(reference), "head mask of the reference (largest body above -200 HU, filled)"
    if mask is None:
        inside, description = reference.array > 0, f"reference {SCALES[task].unit} > 0"
        if not inside.any():
            raise InputError(f"The mask ({description}) is empty: give one with at least one voxel above 0.")
        return inside, description
    return mask_array(mask, reference), "given"


def mask_array(mask: Volume | np.ndarray, reference: Volume) -> np.ndarray:
    """A given mask as booleans of the reference's shape, True where it is > 0. Raises InputError for a volume on
    another grid, an array of another shape, and a mask without a voxel."""
    if isinstance(mask, Volume):
        check_same_grid("mask", mask, reference)
        mask = mask.array
    if mask.shape != reference.shape:
        raise InputError(
            f"The mask has shape {_shape(mask)} and the reference {_shape(reference)}: give a mask on "
            "the reference's grid."
        )
    inside = mask > 0
    if not inside.any():
        raise InputError("The mask (given) is empty: give one with at least one voxel above 0.")
    return inside


def _extent(mask: np.ndarray, axis: int) -> tuple[int, int]:
    """First and one past the last index along the axis at which the mask holds anything."""
    others = tuple(i for i in range(mask.ndim) if i != axis)
    used = np.flatnonzero(mask.any(axis=others))
    return int(used[0]), int(used[-1]) + 1


def _tissue(error: np.ndarray) -> dict:
    if error.size == 0:
        return {"voxels": 0, "mae": None, "mean_error": None}
    return {
        "voxels": int(error.size),
        "mae": _number(np.abs(error).mean()),
        "mean_error": _number(error.mean()),
    }


def _definitions(scale: Scale) -> dict[str, str]:
    low, high = scale.limits
    return {
        "mae": f"mean |prediction - reference| in the mask, {scale.unit}, unclipped",
        "mean_error": f"mean of prediction - reference in the mask, {scale.unit}, unclipped",
        "mse": f"mean (prediction - reference)^2 in the mask, {scale.unit}^2, unclipped",
        "correlation": "Pearson's, of prediction and reference in the mask",
        "psnr": f"20 log10({scale.peak:g} / sqrt(mse)), dB (Wolterink 2017)",
        "psnr_synthrad": f"PSNR in the mask of both clipped to [{low:g}, {high:g}], range {high - low:g}, dB "
        "(SynthRAD2023)",
        "ssim": f"SynthRAD2023: clipped to [{low:g}, {high:g}], {low:g} outside the mask, shifted to start "
        f"at 0, uniform windows 7x7x7, sample covariance, range {high - low:g}, mean over the mask less the "
        "volume's outermost 3 voxels",
        "dice": f"2 |A and B| / (|A| + |B|) of {scale.overlap} ({scale.tissues[scale.overlap][0]}) in the mask",
        "tissues": "mae and mean_error over the mask's voxels of each tissue by the reference",
    }


def _notices(reference: Volume, prediction: Volume, scale: Scale, agreement: float) -> list[str]:
    """Warnings about inputs for which the metrics may be misleading."""
    notices = []
    if scale.unit == "HU" and reference.array.min() >= AIR_BODY_HU:
        notices.append(
            f"The reference has no air (its smallest value is {reference.array.min():g}): check that it is a CT in HU."
        )
    if scale.unit == "FA" and (reference.array.min() < 0 or reference.array.max() > 1):
        notices.append(
            f"The reference spans {reference.array.min():g} to {reference.array.max():g}; FA lies in 0 to 1."
        )
    if prediction.array.min() == prediction.array.max():
        notices.append(f"The prediction is {prediction.array.flat[0]:g} everywhere.")
    if agreement < OPPOSITE:
        notices.append(
            f"The prediction is high where the reference is low (correlation {agreement:.2f}): check that neither is "
            "inverted."
        )
    return notices


def check_same_grid(name: str, volume: Volume, reference: Volume) -> None:
    """Raise InputError unless a volume lies on the reference's grid."""
    if same_grid(volume, reference):
        return
    raise InputError(
        f"The {name} and the reference lie on different grids: {_grid(volume)} and {_grid(reference)}; "
        f"resample the {name} onto the reference's grid first."
    )


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise InputError if an array holds NaN or infinity."""
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise InputError(f"The {name} has {bad} voxels that are NaN or infinite: replace them with numbers first.")


def _grid(volume: Volume) -> str:
    return f"shape {_shape(volume)} with affine {volume.affine[:3].round(3).tolist()}"


def _shape(array: Volume | np.ndarray) -> str:
    return " x ".join(map(str, array.shape))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
