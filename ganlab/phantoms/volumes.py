"""Volumes of a patient: what scanners see of the anatomy, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.imaging.volume import UNITS, Volume
from ganlab.phantoms.build import LIMITS
from ganlab.phantoms.head.anatomy import anatomy
from ganlab.phantoms.head.block import Head
from ganlab.phantoms.head.brain import ventricular
from ganlab.phantoms.lesions import Lesion, check_lesion, draw_fillings, draw_flap, draw_lesion
from ganlab.phantoms.patient import Deface, Patient, make_head, misaligned
from ganlab.phantoms.scanner import Scanner, acquire_ct, acquire_fa, acquire_mr, acquire_pet, get_scanner
from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.tissues import INDEX, table
from ganlab.phantoms.tracts import load_tracts, voxel_fa

MR = ("t1", "t2", "pd", "flair")
MODALITIES = (*MR, "ct", "fa", "pet", "labels")
FIELD_OF_VIEW = np.array([[-96.0, 96.0], [-128.0, 112.0], [-140.0, 100.0]])  # mm, RAS: the head and upper neck
SPACINGS = (0.5, 8.0)  # mm
MISALIGNMENTS = (0.0, 12.0)  # mm
BRAIN = [INDEX[t] for t in ("grey matter", "white matter", "fluid", "tumour", "necrosis", "oedema", "plaque", "blood")]
BLOCK = 48  # voxels along each edge of the blocks that a volume is made in; 192 and 240 are multiples
SEEDS = 2**63
THREADS = 2  # blocks at a time, one core each; the bytes do not depend on it


def make_patient(
    seed: int,
    modalities: Iterable[str] = ("t1", "ct"),
    spacing: float = 1.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
    *,
    lesion: str | Lesion | None = None,
    misalign: float = 0.0,
    scanner: str | Scanner = "research",
    field: float = 3.0,
    defaced: bool = False,
    craniotomy: bool = False,
    fillings: bool = False,
    **build: float,
) -> dict[str, Volume]:
    """Volumes of the patient with this seed, all on one RAS grid of isotropic spacing in mm.

    t1, t2, pd, flair: MR at a field of 1.5 or 3 T, arbitrary units; ct: HU; fa: fractional anisotropy, 0..1; pet:
    myelin-like uptake, white matter = 1; labels: uint8 index into LABELS, the tissue that covers most of the voxel. At
    1 mm: 192 x 240 x 240 voxels. The same request gives the same bytes on a CPU.

    lesion: "tumour", "plaques" or "bleed", drawn from the seed, or a Lesion of given place and size. misalign: mm by
    which throat and jaw moved between the scans (0 to 12; the skull about a third of it): CT and labels stay, all
    others move. scanner: a name from SCANNERS or a Scanner. defaced: the face is cut away, as from public scans.
    craniotomy: a bone flap; fillings: amalgam in the teeth, with its streaks. build: fields of Build that replace what
    the seed drew: ventricles (relative to the mean), skull and fat (mm, scalp) and others.

    Raises InputError for an unknown modality, lesion, scanner, field or build, for a seed that is not a non-negative
    integer, and for spacing or misalignment out of range.
    """
    modalities = tuple(modalities)
    check_request(seed, modalities, spacing, misalign, build)
    mr_signals("t1", field)  # refuses a field, whatever is asked for
    scanner = get_scanner(scanner) if isinstance(scanner, str) else scanner
    sources = {m: mr_signals(m, field, device, scanner.fat_suppressed) for m in MR if m in modalities}
    sources |= {m: table(column, device) for m, column in (("ct", "hu"), ("pet", "pet")) if m in modalities}
    generator = torch.Generator().manual_seed(int(seed))
    with torch.inference_mode():
        patient = make_head(generator, device)
        # What follows is drawn after the head, each from a stream of its own: no request changes another's head.
        extra = [stream(seed, k) for k in range(5)]
        if isinstance(lesion, str):
            lesion = draw_lesion(lesion, extra[0])
        changes = build | ({"lesion": check_lesion(lesion)} if lesion else {})
        changes |= {"flap": draw_flap(extra[1])} if craniotomy else {}
        changes |= {"fillings": draw_fillings(extra[2])} if fillings else {}
        patient = replace(patient, build=replace(patient.build, **changes))
        moved = misaligned(patient, misalign, extra[3]) if misalign else patient
        mask = Deface(extra[4]) if defaced else None

    shape = tuple(int(n) for n in np.round((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / spacing))
    axes = [
        torch.from_numpy(low + spacing * (np.arange(n) + 0.5)).float().to(device)
        for low, n in zip(FIELD_OF_VIEW[:, 0], shape, strict=True)
    ]
    arrays = {m: np.empty(shape, np.uint8 if m == "labels" else np.float32) for m in modalities}
    if fillings and "ct" in arrays:
        arrays["metal"] = np.empty(shape, np.float32)
        sources["metal"] = torch.zeros_like(sources["ct"])
        sources["metal"][INDEX["metal"]] = 1.0
    still = {m for m in arrays if m in ("ct", "labels", "metal")}

    def fill(block: tuple[slice, ...]) -> None:
        with torch.inference_mode():
            grid = torch.meshgrid(*(a[s] for a, s in zip(axes, block, strict=True)), indexing="ij")
            points = torch.stack(grid)
            for who, wanted in ((patient, still), (moved, set(arrays) - still)) if misalign else ((patient, arrays),):
                if wanted:
                    render(who, points.reshape(3, -1), spacing, mask, sources, {m: arrays[m][block] for m in wanted})

    each(fill, list(blocks(shape, BLOCK if device == "cpu" else 4 * BLOCK)), progress)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = FIELD_OF_VIEW[:, 0] + spacing / 2
    metal = arrays.pop("metal", None)

    def acquire(m: str) -> np.ndarray:
        rng = np.random.default_rng([int(seed), MODALITIES.index(m)])
        if m in MR:
            return acquire_mr(arrays[m], spacing, scanner, rng)
        if m == "ct":
            return acquire_ct(arrays[m], spacing, scanner, rng, metal)
        if m == "fa":
            return acquire_fa(arrays[m], spacing, scanner, rng)
        return acquire_pet(arrays[m], spacing, rng) if m == "pet" else arrays[m]

    with ThreadPoolExecutor(THREADS) as pool:
        images = dict(zip(modalities, pool.map(acquire, modalities), strict=True))
    return {m: Volume(a, affine, UNITS.get(m, "arbitrary"), m) for m, a in images.items()}


def render(patient: Patient, points: Tensor, spacing: float, mask, sources: dict, arrays: dict) -> None:
    """Write what every modality of `arrays` sees at points (3, N) into its part of a volume."""
    head = patient.head(points, spacing)
    shares = anatomy(head)
    if mask is not None:
        cut = mask(head.p, patient)
        shares[:, cut] = 0.0
        shares[INDEX["background"], cut] = 1.0
    shape = next(iter(arrays.values())).shape
    linear = [m for m in arrays if m in sources]
    images = torch.stack([sources[m] for m in linear]) @ shares if linear else ()
    results = dict(zip(linear, images, strict=True))
    if "labels" in arrays:
        results["labels"] = _largest(shares)
    if "fa" in arrays:
        results["fa"] = brain_fa(shares, head)
    for m, image in results.items():
        if m in MR:
            image = image.abs()
        arrays[m][...] = image.reshape(shape).cpu().numpy()


def brain_fa(shares: Tensor, head: Head) -> Tensor:
    """(N,) FA of voxels with brain in them; 0 outside, where no tensor is fitted."""
    fa = torch.zeros_like(head.x)
    brain = (shares[BRAIN].sum(0) > 0.5).nonzero()[:, 0]
    if len(brain):
        points = head.once(ventricular)[:, brain]
        fa[brain] = voxel_fa(shares[:, brain], points, load_tracts(str(head.p.device)))
    return fa


def stream(seed: int, k: int) -> torch.Generator:
    """The k-th generator of a seed besides the head's own."""
    state = np.random.SeedSequence([int(seed), k]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def each(work: Callable, items: list, progress: Callable[[float], None] | None) -> None:
    """work(item) for all, a few at a time; progress hears the share that is done."""
    with ThreadPoolExecutor(THREADS, initializer=one_thread) as pool:
        jobs = [pool.submit(work, item) for item in items]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                if progress:
                    progress(done / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def blocks(shape: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Slices that tile an array, the last axis slowest."""
    edges = [[slice(k, min(k + size, n)) for k in range(0, n, size)] for n in shape]
    for z in edges[2]:
        for y in edges[1]:
            for x in edges[0]:
                yield x, y, z


def _largest(shares: Tensor) -> Tensor:
    """argmax over the first axis as uint8; torch's own is ten times slower over a strided axis."""
    best, label = shares[0].clone(), torch.zeros_like(shares[0], dtype=torch.uint8)
    for k in range(1, len(shares)):
        higher = shares[k] > best
        label[higher] = k
        torch.maximum(best, shares[k], out=best)
    return label


def check_request(seed, modalities: tuple[str, ...], spacing: float, misalign: float = 0.0, build=()) -> None:
    unknown = [m for m in modalities if m not in MODALITIES]
    if unknown or not modalities:
        raise InputError(f'Modality "{", ".join(unknown)}" is not made; choose from {", ".join(MODALITIES)}.')
    whole = isinstance(seed, int | np.integer | float) and not isinstance(seed, bool) and float(seed).is_integer()
    if not whole or not 0 <= seed < SEEDS:
        raise InputError(f"Seed {seed} is not a whole number from 0 to {SEEDS - 1:,}; choose one such as 7.")
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        size = np.prod((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / max(spacing, 1e-3)) * 4 / 2**30
        raise InputError(
            f"Spacing {spacing:g} mm is outside {SPACINGS[0]:g}-{SPACINGS[1]:g} mm"
            + (f" and would need {size:,.0f} GiB per volume" if 0 < spacing < SPACINGS[0] else "")
            + "; 1 mm is usual."
        )
    if not MISALIGNMENTS[0] <= misalign <= MISALIGNMENTS[1]:
        raise InputError(
            f"Misalignment {misalign:g} mm is outside {MISALIGNMENTS[0]:g}-{MISALIGNMENTS[1]:g} mm; 3 mm is usual."
        )
    for name, value in dict(build).items():
        if name not in LIMITS:
            raise InputError(f'Build "{name}" is not known; choose from {", ".join(LIMITS)}.')
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise InputError(f"{name.capitalize()} {value:g} is outside {low:g}-{high:g}.")
