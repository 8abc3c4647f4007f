"""A folder of all kinds of scans, and a translation that takes no time."""

import numpy as np

from ganlab.errors import InputError
from ganlab.translation.inference import Translation
from tests.imaging.reading import dicom_makers as makers
from tests.imaging.reading import samples


def negated(volume, task, model, device, planes, progress, precision):
    """In place of `translate`: every value changes its sign, and a CT is refused."""
    if volume.array.min() < -500:
        raise InputError("The scan looks like a CT.")
    if progress:
        progress(1.0)
    synthetic = volume.__class__(-volume.array, volume.affine, "HU", "ct")
    return Translation(synthetic, model or "mr2ct-unet", 0.1, ("Negated.",), task)


def make_folder(place):
    """NIfTI and MGH files, a study of DICOM, a zip, a damaged file, a CT, and things that are no scans."""
    samples.write_all(place / "sub-01" / "anat", [samples.nifti(packed=True)], "sub-01_T1w.nii.gz")
    samples.saved(place, samples.nifti(), "a.nii")
    samples.saved(place, samples.mgh(packed=True), "a.mgz")
    samples.saved(place, samples.nifti()[:3000], "cut.nii")
    samples.saved(place, samples.nifti(samples.scan() - np.int16(1000)), "ct.nii")
    samples.saved(place, b"hello", "notes.txt")
    makers.write(place / "pacs", makers.series(number=2, description="T1 MPRAGE"), "a{}")
    makers.write(place / "pacs", makers.series(makers.head()[..., :2], number=1, description="loc"), "b{}")
    makers.write(place / "pacs", makers.series(number=3, description="CT", modality="CT"), "c{}")
    packed = place.parent / "packed"
    makers.write(packed, makers.series(number=9, description="T1"))
    samples.saved(place, samples.zipped({path.name: path.read_bytes() for path in packed.iterdir()}), "p07.zip")
    return place


EXPECTED = {
    "a.nii.gz": "translated",
    "a-2.nii.gz": "translated",
    "ct.nii.gz": "failed",
    "cut.nii.gz": "failed",
    "pacs/1-loc.nii.gz": "skipped",
    "pacs/2-T1-MPRAGE.nii.gz": "translated",
    "pacs/3-CT.nii.gz": "skipped",
    "sub-01/anat/sub-01_T1w.nii.gz": "translated",
    "p07/9-T1.nii.gz": "translated",
}
