"""Volumes of a phantom patient: simulated scans, rendered block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.imaging.volume import UNITS, Volume
from ganlab.phantoms.head.anatomy import anatomy
from ganlab.phantoms.head.brain import ventricular
from ganlab.phantoms.head.points import Head
from ganlab.phantoms.lesions import Lesion, Spot, check_lesion, draw_fillings, draw_flap, draw_lesion
from ganlab.phantoms.options import DRAWN_OPTIONS, MODALITIES, SPACINGS, PhantomOptions
from ganlab.phantoms.patient import Deface, Patient, make_head, misaligned
from ganlab.phantoms.scanner import SCANNERS, Scanner, acquire_ct, acquire_fa, acquire_mr, acquire_pet
from ganlab.phantoms.signals import mr_signals
from ganlab.phantoms.tissues import INDEX, table
from ganlab.phantoms.tracts import load_tracts, voxel_fa

MR = ("t1", "t2", "pd", "flair")
FIELD_OF_VIEW = np.array([[-96.0, 96.0], [-128.0, 112.0], [-140.0, 100.0]])  # mm, RAS: the head and upper neck
BRAIN = [INDEX[t] for t in ("grey matter", "white matter", "fluid", "tumour", "necrosis", "oedema", "plaque", "blood")]
BLOCK = 48  # voxels along each edge of a block; 192 and 240 are multiples
SEEDS = 2**63
THREADS = 2  # blocks rendered at a time; the bytes do not depend on it


def make_patient(
    seed: int,
    modalities: Iterable[str] = ("t1", "ct"),
    spacing: float = 1.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
    *,
    options: PhantomOptions | None = None,
    **changes: Any,
) -> dict[str, Volume]:
    """Volumes of the patient with this seed, all on one RAS grid of isotropic spacing in mm.

    t1, t2, pd, flair: MR at a field of 1.5 or 3 T, arbitrary units; ct: HU; fa: fractional anisotropy, 0..1; pet:
    myelin-like uptake, white matter = 1; labels: uint8 index into LABELS, the tissue that covers most of the voxel. At
    1 mm: 192 x 240 x 240 voxels. The same request gives the same bytes on a CPU.

    options: what the seed does not determine, and the scanner; changes: fields of PhantomOptions by keyword, as in
    `make_patient(7, lesion="tumour", misalign=3)`. By keyword, `lesion` may also be a Lesion of given places and sizes,
    and `scanner` a Scanner.

    Raises InputError for an unknown modality or option, for a seed that is not a non-negative integer, and for a
    spacing or an option out of range.
    """
    modalities = tuple(modalities)
    check_request(seed, modalities, spacing)
    options, lesion, scanner = _resolved_options(options or PhantomOptions(), changes)
    sources = {m: mr_signals(m, options.field, device, scanner.fat_suppressed) for m in MR if m in modalities}
    sources |= {m: table(column, device) for m, column in (("ct", "hu"), ("pet", "pet")) if m in modalities}
    with torch.inference_mode():
        patient, moved, deface = _states(seed, options, lesion, device)

    shape = tuple(int(n) for n in np.round((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / spacing))
    arrays = {m: np.empty(shape, np.uint8 if m == "labels" else np.float32) for m in modalities}
    if options.fillings and "ct" in arrays:
        arrays["metal"] = np.empty(shape, np.float32)
        sources["metal"] = torch.zeros_like(sources["ct"])
        sources["metal"][INDEX["metal"]] = 1.0
    still = {m for m in arrays if m in ("ct", "labels", "metal")}
    states = [(patient, still), (moved, set(arrays) - still)] if options.misalign else [(patient, set(arrays))]
    _fill(arrays, states, spacing, device, deface, sources, progress)

    metal = arrays.pop("metal", None)
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(_acquire, m, arrays[m], spacing, scanner, seed, metal) for m in modalities]
        images = {m: job.result() for m, job in zip(modalities, jobs, strict=True)}
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = FIELD_OF_VIEW[:, 0] + spacing / 2
    return {m: Volume(a, affine, UNITS.get(m, "arbitrary"), m, model="phantom") for m, a in images.items()}


def _resolved_options(
    options: PhantomOptions, changes: dict[str, Any]
) -> tuple[PhantomOptions, Lesion | str | None, Scanner]:
    """The options with changes; the lesion, placed or still to be drawn; and the scanner. Raises InputError."""
    lesion, scanner = changes.get("lesion"), changes.get("scanner")
    changes = changes | ({"lesion": check_lesion(lesion).kind} if isinstance(lesion, Lesion) else {})
    changes = changes | ({"scanner": options.scanner} if isinstance(scanner, Scanner) else {})
    options = replace(options, **changes)
    if not isinstance(lesion, Lesion):
        spot = options.lesion_spot()
        lesion = check_lesion(Lesion(options.lesion, (Spot(*spot),))) if options.lesion and spot else options.lesion
    return options, lesion, scanner if isinstance(scanner, Scanner) else SCANNERS[options.scanner]


def _states(
    seed: int, options: PhantomOptions, lesion: Lesion | str | None, device: str
) -> tuple[Patient, Patient, Deface | None]:
    """The patient, the patient when the other scans were made, and the region removed by defacing."""
    patient = make_head(torch.Generator().manual_seed(int(seed)), device)
    # Every option draws from its own stream, so that none changes another's result or the head.
    streams = [stream(seed, k) for k in range(5)]
    build = {name: value for name in DRAWN_OPTIONS if (value := getattr(options, name)) is not None}
    if isinstance(lesion, str):
        lesion = draw_lesion(lesion, streams[0])
    build |= {"lesion": lesion} if lesion else {}
    build |= {"flap": draw_flap(streams[1])} if options.craniotomy else {}
    build |= {"fillings": draw_fillings(streams[2])} if options.fillings else {}
    patient = replace(patient, build=replace(patient.build, **build))
    moved = misaligned(patient, options.misalign, streams[3]) if options.misalign else patient
    return patient, moved, Deface(streams[4]) if options.defaced else None


def _fill(
    arrays: dict[str, np.ndarray],
    states: list[tuple[Patient, set[str]]],
    spacing: float,
    device: str,
    deface: Deface | None,
    sources: dict[str, Tensor],
    progress: Callable[[float], None] | None,
) -> None:
    """Render into arrays, block by block, the modalities that see each state of the patient."""
    shape = next(iter(arrays.values())).shape
    axes = [
        torch.from_numpy(low + spacing * (np.arange(n) + 0.5)).float().to(device)
        for low, n in zip(FIELD_OF_VIEW[:, 0], shape, strict=True)
    ]

    def fill(block: tuple[slice, ...]) -> None:
        with torch.inference_mode():
            grid = torch.meshgrid(*(a[s] for a, s in zip(axes, block, strict=True)), indexing="ij")
            points = torch.stack(grid).reshape(3, -1)
            for patient, visible in states:
                if visible:
                    render(patient, points, spacing, deface, sources, {m: arrays[m][block] for m in visible})

    each(fill, list(blocks(shape, BLOCK if device == "cpu" else 4 * BLOCK)), progress)


def _acquire(
    modality: str, array: np.ndarray, spacing: float, scanner: Scanner, seed: int, metal: np.ndarray | None
) -> np.ndarray:
    """The stored values of a modality's signals."""
    rng = np.random.default_rng([int(seed), MODALITIES.index(modality)])
    if modality in MR:
        return acquire_mr(array, spacing, scanner, rng)
    if modality == "ct":
        return acquire_ct(array, spacing, scanner, rng, metal)
    if modality == "fa":
        return acquire_fa(array, spacing, scanner, rng)
    return acquire_pet(array, spacing, rng) if modality == "pet" else array


def render(
    patient: Patient,
    points: Tensor,
    spacing: float,
    deface: Deface | None,
    sources: dict[str, Tensor],
    arrays: dict[str, np.ndarray],
) -> None:
    """Write what each modality sees at points (3, N) into its array.

    sources: (tissues,) signal of each tissue, by modality; labels and FA are computed from tissue shares.
    """
    head = patient.head(points, spacing)
    shares = anatomy(head)
    if deface is not None:
        cut = deface(head.p, patient)
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
    """work(item) for all, a few at a time; progress is called with the share done."""
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


def check_request(seed: Any, modalities: tuple[str, ...], spacing: float) -> None:
    """Raise InputError unless these can be made."""
    unknown = [m for m in modalities if m not in MODALITIES]
    if unknown or not modalities:
        raise InputError(f'Modality "{", ".join(unknown)}" is not known; choose from {", ".join(MODALITIES)}.')
    whole = isinstance(seed, int | np.integer | float) and not isinstance(seed, bool) and float(seed).is_integer()
    if not whole or not 0 <= seed < SEEDS:
        raise InputError(f"Seed {seed} is not a whole number from 0 to {SEEDS - 1:,}; choose one such as 7.")
    if isinstance(spacing, bool) or not isinstance(spacing, int | float | np.number):
        raise InputError(f"Spacing {spacing!r} is not a number of mm; 1 is usual.")
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        size = np.prod((FIELD_OF_VIEW[:, 1] - FIELD_OF_VIEW[:, 0]) / max(spacing, 1e-3)) * 4 / 2**30
        raise InputError(
            f"Spacing {spacing:g} mm is outside {SPACINGS[0]:g}-{SPACINGS[1]:g} mm"
            + (f" and would need {size:,.0f} GiB per volume" if 0 < spacing < SPACINGS[0] else "")
            + "; 1 mm is usual."
        )
