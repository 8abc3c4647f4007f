"""DICOM as scanners write it, made with pydicom: series of files, enhanced multi-frame files, Siemens mosaics."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from scipy.spatial.transform import Rotation

SHAPE, SPACING = (24, 28, 20), (3.0, 2.5, 4.0)  # columns, rows, slices; mm
STUDY = "1.2.826.0.1.3680043.2.1"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def head(seed: int = 0) -> np.ndarray:
    """(columns, rows, slices) int16, 0 to 1400, no two directions alike."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    blob = np.exp(-3 * ((i - 0.3) ** 2 + 2 * (j + 0.2) ** 2 + (k - 0.4) ** 2))
    noise = np.random.default_rng(seed).integers(0, 9, SHAPE)
    return np.round(1200 * blob + 60 * (i + 1) + noise).astype(np.int16)


def grid(angles=(0, 0, 0), shift=(-30.0, -40.0, -35.0)) -> np.ndarray:
    """Voxels to LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * SPACING
    affine[:3, 3] = shift
    return affine


def directions(affine: np.ndarray) -> list[float]:
    """ImageOrientationPatient."""
    return [round(float(x), 8) for x in (affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)).T.ravel()]


def place(affine: np.ndarray, k: int) -> list[float]:
    """ImagePositionPatient of slice k."""
    return [round(float(x), 6) for x in affine[:3, :] @ [0, 0, k, 1]]


def common(series: int, description: str, modality: str = "MR", **elements) -> Dataset:
    """A dataset without pixels."""
    data = Dataset()
    data.SOPClassUID = {"MR": MRImageStorage, "CT": CTImageStorage}[modality]
    data.Modality, data.Manufacturer = modality, "SIEMENS"
    data.PatientName, data.PatientID, data.StudyInstanceUID = "Nobody", "0", STUDY
    data.SeriesInstanceUID, data.SeriesNumber = f"{STUDY}.{series}", series
    data.SeriesDescription = data.ProtocolName = description
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"] if modality == "MR" else ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def put_pixels(data: Dataset, pixels: np.ndarray) -> Dataset:
    """pixels: (rows, columns) or (frames, rows, columns), int16 or uint16."""
    data.Rows, data.Columns = pixels.shape[-2:]
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    data["PixelData"].VR = "OW"
    return data


def series(array=None, affine=None, number=5, description="T1 MPRAGE", change=None, **elements) -> list[Dataset]:
    """A file for each slice of (columns, rows, slices) values. change(dataset, k): the last word on slice k."""
    array = head() if array is None else array
    affine = grid() if affine is None else affine
    steps = np.linalg.norm(affine[:3, :2], axis=0)
    files = []
    for k in range(array.shape[2]):
        data = put_pixels(common(number, description, **elements), np.ascontiguousarray(array[..., k].T))
        data.SOPInstanceUID, data.InstanceNumber = f"{STUDY}.{number}.{k + 1}", k + 1
        data.ImagePositionPatient = place(affine, k)
        data.ImageOrientationPatient = directions(affine)
        data.PixelSpacing, data.SliceThickness = [float(steps[1]), float(steps[0])], SPACING[2]
        if change:
            change(data, k)
        files.append(data)
    return files


def item(**elements) -> Sequence:
    """A sequence of one item."""
    inner = Dataset()
    for name, value in elements.items():
        setattr(inner, name, value)
    return Sequence([inner])


def enhanced(array=None, affine=None, slopes=None, number=7, frames=None, per_frame=None) -> Dataset:
    """A multi-frame MR file. slopes: (slope, intercept) of each slice. frames: slices in the order of frames.
    per_frame(groups, frame): adds to a frame's functional groups."""
    array = head() if array is None else array
    affine = grid() if affine is None else affine
    steps = np.linalg.norm(affine[:3, :2], axis=0)
    frames = list(range(array.shape[2])) if frames is None else frames
    data = common(number, "T1 enhanced", SOPClassUID=EnhancedMRImageStorage, InstanceNumber=1)
    data.SOPInstanceUID, data.NumberOfFrames = f"{STUDY}.{number}.1", len(frames)
    shared, data.PerFrameFunctionalGroupsSequence = Dataset(), Sequence([])
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=directions(affine))
    shared.PixelMeasuresSequence = item(PixelSpacing=[float(steps[1]), float(steps[0])], SliceThickness=SPACING[2])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    for n, k in enumerate(frames):
        groups = Dataset()
        groups.PlanePositionSequence = item(ImagePositionPatient=place(affine, k))
        slope, intercept = slopes[k] if slopes else (1, 0)
        groups.PixelValueTransformationSequence = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
        groups.FrameContentSequence = item(StackID="1", InStackPositionNumber=k + 1, DimensionIndexValues=[1, k + 1])
        if per_frame:
            per_frame(groups, n)
        data.PerFrameFunctionalGroupsSequence.append(groups)
    return put_pixels(data, np.stack([array[..., k].T for k in frames]))


def csa(**values) -> bytes:
    """A CSA2 header as Siemens writes it: names and numbers."""
    out = b"SV10\4\3\2\1" + struct.pack("<2I", len(values), 77)
    for name, numbers in values.items():
        vr = b"US" if name == "NumberOfImagesInMosaic" else b"FD"
        out += struct.pack("<64si4s3i", name.encode(), len(numbers), vr, 0, len(numbers), 77)
        for number in numbers:
            text = f"{number}".encode() + b"\0"
            out += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
    return out


def mosaic(array=None, affine=None, number=8, time=0, with_csa=True) -> Dataset:
    """One time point as a mosaic. array: (columns, rows, slices)."""
    array = head() if array is None else array
    affine = grid() if affine is None else affine
    columns, rows, count = array.shape
    side = int(np.ceil(np.sqrt(count)))
    square = np.zeros((side * rows, side * columns), array.dtype)
    for k in range(count):
        top, left = k // side * rows, k % side * columns
        square[top : top + rows, left : left + columns] = array[..., k].T
    data = put_pixels(common(number, "ep2d bold"), square)
    data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    data.SOPInstanceUID = f"{STUDY}.{number}.{time + 1}"
    data.InstanceNumber = data.AcquisitionNumber = time + 1
    steps = np.linalg.norm(affine[:3], axis=0)[:3]
    corner = affine[:3] @ [-(side - 1) * columns / 2, -(side - 1) * rows / 2, 0, 1]
    data.ImagePositionPatient = [round(float(x), 6) for x in corner]
    data.ImageOrientationPatient = directions(affine)
    data.PixelSpacing = [float(steps[1]), float(steps[0])]
    data.SliceThickness = data.SpacingBetweenSlices = float(steps[2])
    if with_csa:
        normal = affine[:3, 2] / steps[2]
        block = data.private_block(0x29, "SIEMENS CSA HEADER", create=True)
        header = csa(NumberOfImagesInMosaic=[count], SliceNormalVector=[round(float(x), 8) for x in normal])
        block.add_new(0x10, "OB", header)
        block.add_new(0x08, "CS", "IMAGE NUM 4")
    return data


def write(folder: Path, files: list[Dataset], name: str = "IM{:04d}", implicit: bool = False) -> Path:
    """Write datasets as files; name may use {} for their index."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(files):
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(folder / name.format(index), enforce_file_format=True)
    return folder


def holds(volume, array=None, affine=None, atol=1e-4):
    """Every voxel and its place."""
    np.testing.assert_allclose(volume.array, head() if array is None else array, atol=1e-3)
    np.testing.assert_allclose(volume.affine, LPS @ (grid() if affine is None else affine), atol=atol)
    return True
