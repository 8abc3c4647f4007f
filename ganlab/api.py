"""What `import ganlab` offers. Each function delegates to the package that implements it; commands and pages use the
same functions.

Volumes are given as a path, a `Volume` or a nibabel image. Invalid input raises `ganlab.InputError`, whose message is
one sentence with the value, the limit and the remedy.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from nibabel.spatialimages import SpatialImage

    from ganlab.generation.sampling import Samples
    from ganlab.imaging.reading.dicom_series import Series
    from ganlab.imaging.volume import Volume
    from ganlab.training import Event
    from ganlab.translation.inference import Translation
    from ganlab.translation.many import FolderResult

    Path: TypeAlias = str | os.PathLike[str]
    Scan: TypeAlias = Path | Volume | SpatialImage


def read(source: Scan, modality: str = "unknown", series: str | None = None) -> Volume:
    """Read a scan: NIfTI, MGH/MGZ, NRRD, MetaImage, or DICOM as a folder, a zip or one multi-frame file.

    modality: "t1", "ct", "fa", "labels" or another name; it sets the unit (HU, FA or arbitrary), and which of several
    DICOM series is read. series: the number of the one to read, or a part of its description; see `list_series`.
    Returns a `Volume` with the voxels as float32 and the affine from voxels to RAS mm. Its `notices` say what had to
    be chosen or converted. Raises InputError for a file that cannot be read or cannot be a scan of a patient.
    """
    from ganlab.imaging.reading.files import as_volume

    return as_volume(source, modality, series)


def list_series(path: Path) -> list[Series]:
    """The volumes among the DICOM files of a file, folder or zip, by number; [] if there are none.

    Each has the `key` that `read` takes as its series, a `description`, `slices`, the `step` between them and their
    `thickness` in mm, the number of time points (`times`), and a `problem` that says why it cannot be read, or "".
    """
    from ganlab.imaging.reading.scans import list_series

    return list_series(path)


def write(volume: Volume, path: Path) -> tuple[str, ...]:
    """Write a volume, completely or not at all, in the format of the name's ending: .nii.gz, .nii, .mgz, .mgh, .nrrd,
    .dcm (a folder with a DICOM series) or .zip (the same, zipped).

    Returns notices on what the format cannot hold. Raises InputError if the volume cannot be written.
    """
    from ganlab.imaging.writing import write_volume

    return write_volume(volume, path)


def phantom(
    seed: int = 7,
    modalities: Sequence[str] = ("t1", "ct", "labels"),
    spacing: float = 1.0,
    device: str = "auto",
    **options: Any,
) -> dict[str, Volume]:
    """Make a synthetic patient: aligned volumes of one head, by modality.

    modality: any of "t1", "t2", "pd", "flair", "ct", "fa", "pet" and "labels". spacing: voxel edge in mm, 0.5 to 8.
    options: as in `ganlab phantom --help`, such as lesion="tumour", field=1.5 or misalign=4. The same seed gives the
    same patient. Seeds from 9000 on are held out: no shipped model was trained on them. Raises InputError.

    >>> import ganlab
    >>> patient = ganlab.phantom(seed=9000, spacing=4)
    >>> patient["ct"].shape, patient["ct"].unit
    ((48, 60, 60), 'HU')
    """
    from ganlab.device import resolve
    from ganlab.phantoms import make_patient

    return make_patient(
        seed, (modalities,) if isinstance(modalities, str) else tuple(modalities), spacing, resolve(device), **options
    )


def translate(
    source: Scan,
    task: str = "mr2ct",
    model: str | None = None,
    *,
    series: str | None = None,
    planes: Sequence[str] | None = None,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    precision: str = "auto",
) -> Translation:
    """Translate a head scan: T1 to CT ("mr2ct"), CT to T1 ("ct2mr") or T1 to FA ("t1fa").

    model: a pretrained model (see `ganlab.models()`) or a training folder; by default the task's default model. series:
    of DICOM, see `read`. planes: slice directions whose predictions are averaged, of "axial", "coronal" and "sagittal".
    progress is called with the share of the work done, 0 to 1. precision: of the network, "float32", "bfloat16" or
    "auto", which is bfloat16 where the hardware multiplies it natively: half of the time, and about 1 HU apart. The
    result has `volume`, on the grid and affine of the source and in HU, FA or units of white matter; `disagreement`,
    the standard deviation between the slice directions' predictions on the same grid, None for a single direction;
    `confidence`, the half-width of a 90 % interval at each voxel on the same grid and in the same unit, None for a
    model that was not calibrated (`ganlab calibrate`); `notices`; `precision`, the one used; and `save(path)`. The
    interval was calibrated on phantoms and heads of real CTs: it holds for scans like these, and on average over a
    head. Raises InputError for a scan that the task cannot take.

    >>> import ganlab
    >>> patient = ganlab.phantom(seed=9000, spacing=4)
    >>> result = ganlab.translate(patient["t1"], "mr2ct", planes=["axial"])
    >>> result.volume.shape, result.volume.unit, result.model
    ((48, 60, 60), 'HU', 'mr2ct-unet')
    """
    from ganlab.translation.inference import translate
    from ganlab.translation.tasks import get_task

    scan = read(source, get_task(task).source, series)
    planes = [planes] if isinstance(planes, str) else planes
    return translate(scan, task, model, device, planes, progress, precision=precision)


def translate_folder(
    folder: Path,
    out: Path,
    task: str = "mr2ct",
    model: str | None = None,
    *,
    planes: Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    confidence: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> list[FolderResult]:
    """Translate every volume, DICOM series and zip in a folder and its sub-folders, and write the results to the same
    places in the folder `out`.

    Files that are there already are kept unless overwrite is true. confidence: a folder for the half-width of the 90 %
    interval at each voxel, under the same names. Returns for each scan its name, the file of its result (`out`), what
    became of it (`status`: "translated", "kept", "skipped" or "failed"), why (`message`), and the `notices`. A scan
    that fails does not stop the rest. Raises InputError for a folder that holds no scan.
    """
    from ganlab.translation.many import translate_folder

    results = translate_folder(
        folder,
        out,
        task,
        model,
        planes=planes,
        device=device,
        precision=precision,
        confidence=confidence,
        overwrite=overwrite,
        progress=progress,
    )
    return list(results)


def evaluate(
    reference: Scan,
    prediction: Scan,
    task: str = "mr2ct",
    mask: Scan | np.ndarray | None = None,
    *,
    source: Scan | None = None,
    white_matter: float | None = None,
    resample: bool = False,
) -> dict[str, Any]:
    """Compare a synthetic volume with the real one on the same grid, both in the units of the task, inside a mask.

    Axes may be in another order. resample: whether volumes on other grids are interpolated onto the reference's, with a
    notice; otherwise they are refused.

    mask: voxels above 0; by default the head of the reference CT (mr2ct), the head of the source CT (ct2mr, which needs
    `source`, or a mask and `white_matter`) or the brain (t1fa). white_matter: the intensity of white matter on a T1
    reference, estimated by default. Returns mae, mse, psnr, ssim, Dice and the errors per tissue, with the definition
    of each, ready for JSON. Raises InputError, also for units that make no sense for the task.

    >>> import ganlab
    >>> ct = ganlab.phantom(seed=9000, modalities=["ct"], spacing=4)["ct"]
    >>> ganlab.evaluate(ct, ct)["mae"]
    0.0
    """
    import numpy as np

    from ganlab.translation.compare import compare
    from ganlab.translation.tasks import get_task

    kind = get_task(task)
    inside = mask if mask is None or isinstance(mask, np.ndarray) else read(mask, "labels")
    scan = read(source, kind.source) if source is not None else None
    real, synthetic = read(reference, kind.target), read(prediction, kind.target)
    evaluation = compare(real, synthetic, task, scan, inside, white_matter, resample)
    return evaluation.metrics


def register(moving: Scan, fixed: Scan) -> tuple[Volume, np.ndarray]:
    """Bring a scan onto the grid of another scan of the same head: rigidly, by mutual information.

    Returns the moving volume on fixed's grid, and the (4, 4) matrix from fixed's to moving's RAS mm. The volume's
    `notices` say if the result is doubtful. Raises InputError if the two cannot be made to overlap.
    """
    from ganlab.imaging.registration import register_rigid

    return register_rigid(read(moving), read(fixed))


def generate(model: str = "dcgan-digits", n: int = 64, seed: int = 0, **options: Any) -> Samples:
    """Make images from noise with a pretrained generator or one in a training folder.

    options: label (a class's name), psi (truncation, above 0 up to 1), device and progress. The result has `images`,
    (n, side, side) float32 in HU for nodules and 0 to 1 otherwise, `labels` (n,) and the noise `z`. Same seed, same
    images on a CPU. Raises InputError.

    >>> import ganlab
    >>> samples = ganlab.generate("dcgan-digits", n=3, seed=1)
    >>> samples.images.shape, samples.labels.tolist()
    ((3, 16, 16), [0, 1, 2])
    """
    from ganlab.generation.sampling import generate

    return generate(model, n, seed, **options)


def train(
    preset: str,
    out: Path,
    *,
    steps: int | None = None,
    seed: int | None = None,
    source: Path | None = None,
    target: Path | None = None,
    anatomy: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    **settings: Any,
) -> Iterator[Event]:
    """Train a preset of `ganlab train --help` and yield progress events: steps with their losses, checkpoints,
    previews.

    source, target: folders of your own volumes (a translator) or source alone, a folder of images (a generator from
    noise); by default phantoms or generated images. anatomy: a folder of CT heads, whose anatomy a translator mixes
    with the phantoms'. settings: fields of the preset's config, such as batch=8 or
    network={"width": 8}. The model is written to the folder `out`. Raises InputError.

    >>> import ganlab, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> events = ganlab.train("dcgan-digits", folder, steps=2, batch=8, network={"width": 8})
    >>> [event.step for event in events if event.kind == "step"]
    [1, 2]
    >>> ganlab.generate(folder, n=3).images.shape
    (3, 16, 16)
    """
    from pathlib import Path as FilePath

    from ganlab.device import resolve
    from ganlab.training_plan import plan_training

    plan = plan_training(
        preset,
        settings,
        steps=steps,
        seed=seed,
        source=FilePath(source) if source else None,
        target=FilePath(target) if target else None,
        anatomy=FilePath(anatomy) if anatomy else None,
        workers=0,
    )
    for notice in plan.notices:
        warnings.warn(notice, stacklevel=2)
    return plan.run(FilePath(out), resolve(device), resume)


def models(task: str | None = None) -> list[dict[str, Any]]:
    """The pretrained models: the front matter of each card (name, task, parameters, metrics, limits ...).

    >>> import ganlab
    >>> [model["name"] for model in ganlab.models("mr2ct")]
    ['mr2ct-cyclegan', 'mr2ct-pix2pix', 'mr2ct-unet']
    """
    from ganlab.checkpoints import list_models

    return list_models(task)
