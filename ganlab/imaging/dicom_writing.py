"""A `Volume` as a DICOM series: CT Image or MR Image Storage (PS3.3 A.3 and A.4), one file a slice.

The slices are the most axial ones of the volume's own grid, from feet to head, with columns to the patient's left and
rows to the back, as planning systems expect; voxels are moved, not interpolated. Patient, study and frame of reference
are those of the DICOM series that the volume was read or made from, so that both overlay; series and images have new
identifiers. A volume from another format gets a patient and a study of its own.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlab.errors import InputError
from ganlab.imaging.grid import is_sheared, reordered, resample
from ganlab.imaging.volume import Volume
from ganlab.imaging.wording import times
from ganlab.version import __version__

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_SIDE, MAX_SLICES, MAX_VOXELS = 65535, 20_000, 512**3
MAX_STORED = 32767  # int16
IMAGE_TYPES = {  # by modality: the third value of ImageType and what follows
    "ct": ("AXIAL",),
    "fa": ("DIFFUSION MAP", "FA"),
    **dict.fromkeys(("t1", "t2", "pd", "flair"), ("OTHER",)),
}
VALUES = {  # by modality: what a value is, its unit's code (UCUM) and that unit
    "ct": ("CT number", "[hnsf'U]", "Hounsfield unit"),
    "fa": ("Fractional anisotropy", "1", "no units"),
}
WINDOWS = {"ct": (40, 400), "fa": (0.4, 0.8)}  # centre and width to show it with
NOT_CLINICAL = "NOT FOR CLINICAL USE"
TILTED = (
    "The volume's axes are not at right angles, as after a tilted gantry: for DICOM it was resampled onto a grid whose "
    "axes are."
)


def check(volume: Volume, name: str) -> None:
    """Raise InputError for a volume whose modality or size no DICOM series of this kind can have. name: quoted."""
    if volume.modality not in IMAGE_TYPES:
        raise InputError(
            f"{name} cannot be written: DICOM is for {', '.join(IMAGE_TYPES)}, and this volume is "
            f'"{volume.modality}"; write it as .nii.gz.'
        )
    if max(volume.shape) > MAX_SLICES or math.prod(volume.shape) > MAX_VOXELS:
        raise InputError(
            f"{name} cannot be written: the volume has {times(volume.shape)} voxels, more than {MAX_VOXELS:,} or than "
            f"{MAX_SLICES:,} a side; crop it or write it as .nii.gz."
        )


def write_folder(volume: Volume, folder: Path) -> None:
    """Write the files of a series into an existing folder. Raises InputError, OSError."""
    for name, dataset in _images(_axial(volume), is_sheared(volume.affine)):
        dataset.save_as(folder / name, enforce_file_format=True)


def write_zip(volume: Volume, path: Path, folder: str) -> None:
    """Write a zip with the series in a folder of this name. Raises InputError, OSError."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, dataset in _images(_axial(volume), is_sheared(volume.affine)):
            content = io.BytesIO()
            dataset.save_as(content, enforce_file_format=True)
            archive.writestr(f"{folder}/{name}", content.getvalue())


def _axial(volume: Volume) -> Volume:
    """The volume with axes to the left, the back and the head, resampled if they are not at right angles."""
    volume = reordered(volume, "LPS")
    if not is_sheared(volume.affine):
        return volume
    spacing = volume.spacing
    left, _, right = np.linalg.svd(volume.affine[:3, :3] / spacing)
    affine = np.eye(4)
    affine[:3, :3] = left @ right * spacing  # the closest axes at right angles
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape], indexing="ij")).reshape(3, 8)
    corners = np.linalg.solve(affine, volume.affine @ np.vstack([ends, np.ones(8)]))[:3]
    low, high = corners.min(axis=1), corners.max(axis=1)
    shape = tuple(int(n) + 1 for n in np.ceil(high - low - 1e-3))
    if math.prod(shape) > MAX_VOXELS:
        raise InputError(
            f"The volume's axes are far from right angles: upright it would have {times(shape)} voxels, more than "
            f"{MAX_VOXELS:,}; write it as .nii.gz."
        )
    affine[:3, 3] = (affine @ [*low, 1.0])[:3]
    return resample(volume, affine, shape, fill=float(volume.array.min()))


def _stored(volume: Volume) -> tuple[np.ndarray, float]:
    """(int16 array, slope) with value = slope * stored; whole numbers and HU that fit have slope 1."""
    low, high = float(volume.array.min()), float(volume.array.max())
    largest = max(-low, high)
    if not math.isfinite(largest):
        raise InputError("The volume has voxels that are NaN or infinite, which DICOM cannot hold: replace them first.")
    slope = 1.0
    if volume.unit == "HU":
        if largest > MAX_STORED:
            raise InputError(
                f"The CT spans {low:.6g} to {high:.6g} HU, more than the 16 bits of DICOM hold: write it as .nii.gz."
            )
    elif largest > MAX_STORED or not np.array_equal(volume.array, np.rint(volume.array)):
        slope = 10.0 ** math.ceil(math.log10(largest / MAX_STORED))
    return np.rint(volume.array / slope).astype(np.int16), slope


def _images(volume: Volume, resampled: bool) -> Iterator[tuple[str, Dataset]]:
    """(file name, data set) of each slice of a volume with axes to the left, the back and the head."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import generate_uid

    array, slope = _stored(volume)
    series = _series(volume, slope, resampled)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    axes = lps[:3, :3] / volume.spacing
    series.ImageOrientationPatient = _decimals(axes[:, :2].T.ravel())
    series.PixelSpacing = _decimals(volume.spacing[[1, 0]])  # between rows, between columns
    series.SliceThickness, series.SpacingBetweenSlices = _decimals(volume.spacing[[2, 2]])
    columns, rows, count = volume.shape
    series.Rows, series.Columns = rows, columns
    digits = max(4, len(str(count)))
    for k in range(count):
        image = Dataset()
        image.update(series)
        image.file_meta = FileMetaDataset()
        image.file_meta.update(series.file_meta)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        image.InstanceNumber = k + 1
        position = (lps @ [0.0, 0.0, k, 1.0])[:3]
        image.ImagePositionPatient = _decimals(position)
        (image.SliceLocation,) = _decimals([position @ np.cross(axes[:, 0], axes[:, 1])])
        image.PixelData = array[:, :, k].T.astype("<i2").tobytes()
        yield f"{k + 1:0{digits}d}.dcm", image


def _decimals(numbers: Any) -> list:
    """Numbers as DICOM's decimal strings: 16 characters each."""
    from pydicom.valuerep import DSfloat

    return [DSfloat(round(float(number), 10) + 0.0, auto_format=True) for number in numbers]  # + 0.0: no "-0.0"


def _series(volume: Volume, slope: float, resampled: bool) -> Dataset:
    """What all images of the series have in common."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

    now = datetime.now()
    series = Dataset()
    series.file_meta = FileMetaDataset()
    series.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    kind = CTImageStorage if volume.modality == "ct" else MRImageStorage
    series.SOPClassUID = series.file_meta.MediaStorageSOPClassUID = kind
    series.SpecificCharacterSet = "ISO_IR 192"
    _add_study(series, volume, now)
    series.Modality = "CT" if volume.modality == "ct" else "MR"
    series.SeriesInstanceUID = generate_uid(prefix=None)
    series.SeriesDate = series.ContentDate = series.InstanceCreationDate = now.strftime("%Y%m%d")
    series.SeriesTime = series.ContentTime = series.InstanceCreationTime = now.strftime("%H%M%S")
    series.AcquisitionNumber = None
    series.ImageType = ["DERIVED", "SECONDARY", *IMAGE_TYPES[volume.modality]]
    _add_derivation(series, volume, resampled, now)
    _add_pixels(series, volume, slope)
    if volume.modality == "ct":
        series.KVP = None
    else:
        series.ScanningSequence, series.SequenceVariant, series.MRAcquisitionType = "RM", "NONE", "3D"
        series.ScanOptions = series.RepetitionTime = series.EchoTime = series.EchoTrainLength = None
    return series


def _add_study(series: Dataset, volume: Volume, now: datetime) -> None:
    """Patient, study and frame of reference: the source's, or new ones."""
    from pydicom import DataElement, config
    from pydicom.datadict import dictionary_VR
    from pydicom.tag import Tag
    from pydicom.uid import generate_uid

    study = generate_uid(prefix=None)
    number = study[-8:]  # archives sort by patient, so that unknown ones need different names
    known = {
        "PatientName": f"GANLAB^{number}", "PatientID": f"GANLAB-{number}", "PatientBirthDate": "", "PatientSex": "",
        "StudyInstanceUID": study, "StudyDate": now.strftime("%Y%m%d"), "StudyTime": now.strftime("%H%M%S"),
        "ReferringPhysicianName": "", "StudyID": "1", "AccessionNumber": "",
    }  # fmt: skip
    source = dict(volume.origin.dicom)
    if source.get("StudyInstanceUID"):
        known = dict.fromkeys(known, "")
    known |= {"PatientPosition": "HFS", "BodyPartExamined": "HEAD", "PositionReferenceIndicator": ""} | source
    known["FrameOfReferenceUID"] = known.get("FrameOfReferenceUID") or generate_uid(prefix=None)
    known.pop("SeriesInstanceUID", None)
    known["SeriesNumber"] = str(1000 + int(known.get("SeriesNumber") or 0))
    for keyword, value in known.items():
        tag = Tag(keyword)
        series.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE))


def _add_derivation(series: Dataset, volume: Volume, resampled: bool, now: datetime) -> None:
    """What made the images, from what, and that they are for no clinical use."""
    from pydicom import Dataset

    kind, model = volume.modality.upper(), Path(volume.model).name
    made = "SYNTHETIC" if model else "CONVERTED"
    by = f" by {model}" if model else ""
    source = volume.origin.dicom.get("SeriesInstanceUID")
    of = f", made from series {source}" if source else ""
    series.SeriesDescription = f"{made}, {NOT_CLINICAL}: {kind}{by}"[:64]
    series.DerivationDescription = (
        f"{made.capitalize()} {kind}{by} (ganlab {__version__}){of}. {'No scanner acquired it. ' if model else ''}"
        f"{NOT_CLINICAL}."
    )
    series.ImageComments = f"{made}, {NOT_CLINICAL}"
    if resampled:
        series.DerivationCodeSequence = [_code("113085", "DCM", "Spatial resampling")]
    series.Manufacturer = "ganlab"
    series.ManufacturerModelName = (model or "ganlab")[:64]
    series.SoftwareVersions = [f"ganlab {__version__}", *([f"model {model}"[:64]] if model else [])]
    equipment = Dataset()
    purpose = ("109100", "DCM", "Synthesizing Equipment") if model else ("109103", "DCM", "Modifying Equipment")
    equipment.PurposeOfReferenceCodeSequence = [_code(*purpose)]
    equipment.Manufacturer, equipment.ManufacturerModelName = "ganlab", series.ManufacturerModelName
    equipment.SoftwareVersions = series.SoftwareVersions
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = series.DerivationDescription
    series.ContributingEquipmentSequence = [equipment]


def _add_pixels(series: Dataset, volume: Volume, slope: float) -> None:
    """How pixels are stored, and what their values mean."""
    from pydicom import Dataset
    from pydicom.valuerep import DSfloat

    series.SamplesPerPixel, series.PhotometricInterpretation = 1, "MONOCHROME2"
    series.BitsAllocated, series.BitsStored, series.HighBit, series.PixelRepresentation = 16, 16, 15, 1
    series.LossyImageCompression = "00"
    if volume.modality == "ct" or slope != 1:  # CT has to have them; for MR some readers know these, others the mapping
        series.RescaleIntercept, series.RescaleSlope = 0, DSfloat(slope, auto_format=True)
    if volume.modality == "ct":
        series.RescaleType = "HU" if volume.unit == "HU" else "US"
    low, high = np.percentile(volume.array[::2, ::2, ::2], [1, 99.5])
    window = WINDOWS.get(volume.modality, ((low + high) / 2, max(high - low, slope)))
    series.WindowCenter, series.WindowWidth = _decimals(window)
    if volume.modality != "ct":
        series.VOILUTFunction = "LINEAR_EXACT"  # which may be narrower than 1
    name, code, meaning = VALUES.get(volume.modality, ("Relative signal", "1", "no units"))
    mapping = Dataset()
    mapping.add_new("RealWorldValueFirstValueMapped", "SS", -32768)
    mapping.add_new("RealWorldValueLastValueMapped", "SS", 32767)
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, slope
    mapping.LUTExplanation, mapping.LUTLabel = name, volume.modality.upper()
    mapping.MeasurementUnitsCodeSequence = [_code(code, "UCUM", meaning)]
    series.RealWorldValueMappingSequence = [mapping]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
