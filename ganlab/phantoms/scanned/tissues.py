"""What a CT head is made of, from its HU and its place in the template.

A voxel at the edge of two tissues holds a share of each (partial volume), linear in HU, so that an MR image and a CT
drawn from the shares show edges at the same places. HU of bone, fat and soft tissue: Schneider et al., Phys Med Biol
45:459, 2000.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ganlab.imaging.masks import fill_cavities
from ganlab.phantoms.scanned.fit import LOW

FIELDS = ("air", "bone", "dense", "hu", "fat", "skin", "mucosa", "eye", "brain", "soft")
OUTSIDE = -400.0  # HU between air and skin, without hair and cushions
AIR, AIR_EDGE = -1000.0, -150.0
SOFT, FAT = 50.0, -95.0
MARROW, COMPACT = 250.0, 1050.0  # HU of bone that is all marrow and trabeculae, and of compact bone
LEAST_BONE = 300.0  # HU that bone reaches somewhere within 2 mm
HU_STEP = 10.0  # of the field "hu", from 0 to 2,550
SKIN, LINING = 2.2, 2.0  # mm
METAL = 2900.0
BLUR = 0.6, 0.8  # std in voxels, but at most mm: full widths at half maximum of 1.4 voxels and 1.9 mm
SATURATED = 10  # voxels at the scanner's highest value, above 1,900 HU, in a slice: metal too
EYE = 11.8  # mm, radius
EYES = ((-29.0, 57.0, -35.0), (29.0, 57.0, -35.0))  # mm in the aligned pose, of a mean head
FAR = 0.004  # weight of the square of the distance from there
REACH = 9  # mm from there that they are looked for


def without_metal(ct: np.ndarray) -> np.ndarray:
    """An axial CT (I, J, K) with NaN in the slices with metal and on their smaller side: streaks are no anatomy."""
    highest = np.nanmax(ct)
    saturated = (ct >= highest - 2).sum((0, 1)) > SATURATED if highest > 1900 else np.zeros(ct.shape[2], bool)
    bad = np.flatnonzero(saturated | ((ct > METAL).sum((0, 1)) > SATURATED))
    if not len(bad):
        return ct
    body = (ct > OUTSIDE).sum((0, 1))
    low, high = max(0, bad[0] - 2), min(ct.shape[2], bad[-1] + 3)
    keep = slice(high, None) if body[high:].sum() >= body[:low].sum() else slice(0, low)
    result = np.full_like(ct, np.nan)
    result[..., keep] = ct[..., keep]
    return result


def deblurred(ct: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A CT (I, J, K) of this spacing in mm (3,), sharpened by its own resolution, so that thin walls and the tables of
    the vault keep their HU through a resampling: three iterations of Van Cittert (1931) for a Gaussian of BLUR."""
    sigma = np.minimum(BLUR[0], BLUR[1] / spacing)
    known = np.isfinite(ct)
    blurred = np.where(known, ct, AIR).astype(np.float32)
    sharp = blurred.copy()
    for _ in range(3):
        sharp += blurred - ndimage.gaussian_filter(sharp, sigma)
    return np.where(known, sharp, np.nan)


def tissue_fields(ct: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(len(FIELDS), X, Y, Z) uint8: shares of a voxel in 255ths, and "hu" of its bone in steps of 10 HU.

    ct: (X, Y, Z) HU at 1 mm, NaN where there is none. depth: mm from the template's intracranial hull, negative inside.
    Shares of air, bone, fat, skin, mucosa, eye, brain (the cavity's contents) and soft tissue (muscle, glands, vessels)
    sum to 1 within the head and to 0 outside it. "dense" is the compact part of the bone.
    """
    known = np.isfinite(ct)
    ct = np.where(known, ct, AIR)
    head = patient_mask(ct)
    air = np.clip((AIR_EDGE - ct) / (AIR_EDGE - AIR), 0, 1)
    outside = ~ndimage.binary_dilation(head) | ~known
    bone, dense, hu = _bone(ct, air)
    rest = np.clip(1 - air - bone, 0, 1)
    brain = _cavity(ct, bone, depth)
    eye = _eyes(ct, rest) * ~brain
    shares = {"brain": rest * brain, "eye": rest * eye}
    rest = rest * ~brain * (1 - eye)

    under = ndimage.distance_transform_edt(head | ~known).astype(np.float32)  # mm below the skin
    inner_air = (air > 0.5) & ndimage.binary_erosion(head, iterations=2)
    lining = ndimage.distance_transform_edt(~inner_air).astype(np.float32)
    skin = np.clip(SKIN + 0.5 - under, 0, 1)
    mucosa = np.clip(LINING + 0.5 - lining, 0, 1)
    fat = _fat(ct, rest, (air > 0.02) | (bone > 0.1))
    for name, share in (("skin", skin), ("mucosa", mucosa), ("fat", fat), ("soft", np.float32(1))):
        shares[name] = rest * share
        rest = rest * (1 - share)
    shares |= {"air": air, "bone": bone, "dense": dense, "hu": hu / HU_STEP / 255}
    fields = np.empty((len(FIELDS), *ct.shape), np.uint8)
    for field, name in zip(fields, FIELDS, strict=True):
        field[...] = np.rint(255 * shares[name]).clip(0, 255) * ~outside
    return fields


def patient_mask(ct: np.ndarray) -> np.ndarray:
    """The largest object thicker than 5 mm, its cavities filled: no table, cushion or head holder."""
    body = ct > OUTSIDE
    half = tuple(slice(None, None, 2) for _ in range(3))
    core = ndimage.binary_erosion(body[half], ball(1))
    labels, count = ndimage.label(core)
    if not count:
        return body
    core = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    grown = ndimage.binary_dilation(core, ball(1), iterations=2)
    for axis, n in enumerate(body.shape):
        grown = grown.repeat(2, axis).take(range(n), axis)
    return fill_cavities(grown & body)


def _bone(ct: np.ndarray, air: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of bone, its compact part, and its HU.

    The share rises from soft tissue to the highest value within 2 mm; between the tables of the vault, where trabeculae
    and marrow lower it, the voxel is all bone. A thin wall that never reaches compact bone's HU fills only a part of
    its voxels.
    """
    closed = np.where(ct > 120, ndimage.grey_closing(ct, 5), ct)
    peak = ndimage.gaussian_filter(ndimage.maximum_filter(closed, 5), 0.7)
    share = np.clip((closed - SOFT) / np.maximum(peak - SOFT, 1), 0, 1) * np.clip((peak - LEAST_BONE + 50) / 100, 0, 1)
    thick = ndimage.binary_opening(share > 0.5, ball(1))
    thick = ndimage.binary_dilation(thick, ball(1)) & (share > 0.1)
    hu = np.clip((ct - (1 - share) * SOFT) / np.maximum(share, 0.15), 0, 2550)
    compact = np.clip((hu - MARROW) / (COMPACT - MARROW), 0, 1)
    thin_share = share * np.clip(hu / COMPACT, 0, 1)
    bone = np.minimum(np.where(thick, share, thin_share), 1 - air)
    return bone, np.where(thick, compact, 1.0) * bone, np.where(thick, hu, np.maximum(hu, COMPACT)) * (bone > 0)


def _cavity(ct: np.ndarray, bone: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The intracranial cavity: what is reached from deep inside the template's hull without crossing bone, and lies no
    further than 6 mm beyond the hull (through foramina and defects of the skull)."""
    way = (bone < 0.5) & (ct > -200) & (depth < 6)
    reached = ndimage.binary_propagation(way & (depth < -8), mask=way)
    reached = ndimage.binary_opening(reached, ball(2)) | (reached & (depth < 0))
    return ndimage.binary_dilation(reached, ball(1)) & (depth < 8) & (ct > -200)


def _fat(ct: np.ndarray, rest: np.ndarray, doubtful: np.ndarray) -> np.ndarray:
    """Share of fat in soft tissue, by its HU; where air or bone touch a voxel, its neighbours' share."""
    sure = ((rest > 0) & ~doubtful).astype(np.float32)
    weight = ndimage.gaussian_filter(sure, 0.6)
    smooth = ndimage.gaussian_filter(sure * ct, 0.6) / np.maximum(weight, 1e-3)
    near, around = (ndimage.gaussian_filter(x, 1.5) for x in (sure, sure * np.clip(smooth, -150, 100)))
    value = np.where(weight > 0.3, smooth, around / np.maximum(near, 1e-3))
    return np.clip((SOFT - 30 - value) / (SOFT - 30 - FAT), 0, 1)


def _eyes(ct: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Share of the eyeballs: the two balls of soft tissue that best stand out from the fat around them."""
    soft = (rest * np.clip((ct + 60) / 60, 0, 1)).astype(np.float32)
    eye = np.zeros_like(soft)
    margin = int(EYE + 3 + REACH)
    for centre in EYES:
        start = np.rint(np.array(centre) - LOW).astype(int) - margin
        box = tuple(slice(a, a + 2 * margin + 1) for a in start)
        inside, around = (_ball_mean(soft[box], radius) for radius in (EYE - 1, EYE + 3))
        volume = ((EYE - 1) / (EYE + 3)) ** 3
        score = 2 * inside - (around - volume * inside) / (1 - volume)  # full, in fat, bone and air
        score -= FAR * ((np.indices(score.shape) - margin) ** 2).sum(0)
        search = tuple(slice(margin - REACH, margin + REACH + 1) for _ in range(3))
        best = np.unravel_index(score[search].argmax(), score[search].shape)
        if score[search][best] < 1.0 or inside[search][best] < 0.8:
            continue
        grid = np.indices(eye[box].shape) - (np.array(best) + margin - REACH)[:, None, None, None]
        eye[box] = np.maximum(eye[box], np.clip(EYE + 0.5 - np.sqrt((grid**2).sum(0)), 0, 1))
    return eye


def _ball_mean(array: np.ndarray, radius: float) -> np.ndarray:
    """The mean over a ball around each voxel; the array wraps around."""
    kernel = np.zeros_like(array)
    n = int(np.ceil(radius))
    kernel[: 2 * n + 1, : 2 * n + 1, : 2 * n + 1] = ball(radius)
    kernel = np.roll(kernel, (-n, -n, -n), (0, 1, 2)) / kernel.sum()
    return np.fft.irfftn(np.fft.rfftn(array) * np.fft.rfftn(kernel), array.shape, axes=(0, 1, 2))


def ball(radius: float) -> np.ndarray:
    """Boolean cube with a ball of this radius in voxels."""
    n = int(np.ceil(radius))
    axis = np.arange(-n, n + 1) ** 2
    return axis[:, None, None] + axis[:, None] + axis <= radius**2 + 0.5
