"""Scans in every format, made byte by byte, so that tests can damage any part of them."""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.freesurfer import mghformat
from scipy.spatial.transform import Rotation

from ganlab.imaging.reading.headers import LPS_TO_RAS

SHAPE, SPACING = (12, 14, 10), (5.0, 4.0, 6.0)  # 60 x 56 x 60 mm


def scan(shape=SHAPE) -> np.ndarray:
    """A blob off the centre, int16, no two directions alike."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.round(900 * np.exp(-3 * ((i - 0.3) ** 2 + 2 * (j + 0.2) ** 2 + (k - 0.4) ** 2)) + 20 * i).astype(np.int16)


def oblique(spacing=SPACING, angles=(12, -25, 40), origin=(-30.0, 20.0, 15.0)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return affine


def nifti(array=None, affine=None, version=1, big=False, packed=False, **fields) -> bytes:
    """A .nii file; `fields` are written into its header last, as they are."""
    array = scan() if array is None else array
    affine = oblique() if affine is None else affine
    kind = {1: nib.Nifti1Header, 2: nib.Nifti2Header}[version]
    header = kind(endianness=">" if big else "<")
    header.set_data_shape(array.shape)
    header.set_data_dtype(array.dtype)
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm")
    header["magic"] = b"n+1" if version == 1 else header["magic"]
    header["vox_offset"] = 352 if version == 1 else 544
    for name, value in fields.items():
        header[name] = value
    data = array.astype(array.dtype.newbyteorder(">" if big else "<")).tobytes(order="F")
    whole = header.binaryblock + b"\0\0\0\0" + data
    return gzip.compress(whole, 1, mtime=0) if packed else whole


def mgh(array=None, affine=None, packed=False, **fields) -> bytes:
    array = scan() if array is None else array
    image = nib.MGHImage(array.astype(np.int32), oblique() if affine is None else affine)
    content = bytearray(image.to_bytes())
    header = np.ndarray((), mghformat.header_dtype, content)
    for name, value in fields.items():
        header[name] = value
    return gzip.compress(content, 1, mtime=0) if packed else bytes(content)


def nrrd(array=None, affine=None, packed=False, data_file=None, **fields) -> bytes:
    """An NRRD file in LPS; fields replace header lines, or remove them when None (_ for blanks)."""
    array = scan() if array is None else array
    lps = LPS_TO_RAS @ (oblique() if affine is None else affine)
    lines = {
        "type": {"i2": "short", "f4": "float", "u1": "uchar"}[array.dtype.str[1:]],
        "dimension": str(array.ndim),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, array.shape)),
        "space directions": " ".join(f"({a!r},{b!r},{c!r})" for a, b, c in lps[:3, :3].T.tolist()),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip" if packed else "raw",
        "space origin": "({!r},{!r},{!r})".format(*lps[:3, 3].tolist()),
    }
    if data_file:
        lines["data file"] = data_file
    lines |= {name.replace("_", " "): value for name, value in fields.items()}
    text = "NRRD0004\n# made by a test\n" + "".join(f"{k}: {v}\n" for k, v in lines.items() if v is not None) + "\n"
    data = array.tobytes(order="F")
    return text.encode() + (b"" if data_file else gzip.compress(data, 1, mtime=0) if packed else data)


def metaimage(array=None, affine=None, packed=False, data_file="LOCAL", **fields) -> bytes:
    array = scan() if array is None else array
    lps = LPS_TO_RAS @ (oblique() if affine is None else affine)
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        "TransformMatrix": " ".join(map(repr, (lps[:3, :3] / steps).T.ravel().tolist())),
        "Offset": " ".join(map(repr, lps[:3, 3].tolist())),
        "ElementSpacing": " ".join(map(repr, steps.tolist())),
        "DimSize": " ".join(map(str, array.shape)),
        "ElementType": "MET_SHORT",
    } | fields
    text = "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None) + f"ElementDataFile = {data_file}\n"
    data = array.tobytes(order="F")
    return text.encode() + (b"" if data_file != "LOCAL" else zlib.compress(data, 1) if packed else data)


# --- DICOM: explicit little endian ----------------------------------------------------------------------


def element(group: int, number: int, vr: str, value) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if vr in ("UI", "OB") else b" ") * (len(value) % 2)
    long = vr in ("OB", "OW", "SQ", "UN", "UT")
    length = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + vr.encode() + length + value


def sequence(group: int, number: int, *items: bytes) -> bytes:
    packed = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return element(group, number, "SQ", packed)


def decimals(numbers) -> str:
    return "\\".join(f"{number:.8g}" for number in numbers)


MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"


def dicom(
    pixels: np.ndarray,
    position=(0, 0, 0),
    orientation=(1, 0, 0, 0, 1, 0),
    spacing=(4, 5),
    instance=1,
    series="1.2.3.4",
    description="T1 MPRAGE",
    modality="MR",
    slope=1,
    intercept=0,
    samples=1,
    kind=MR,
    image_type="ORIGINAL\\PRIMARY",
    groups=b"",
    syntax="1.2.840.10008.1.2.1",
) -> bytes:
    """One file. pixels: (rows, columns) or (frames, rows, columns) int16; spacing: of rows, of columns."""
    identity = f"{series}.{instance}"
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", kind) + element(2, 3, "UI", identity)
    meta += element(2, 0x10, "UI", syntax)
    body = [
        element(8, 8, "CS", image_type),
        element(8, 0x16, "UI", kind),
        element(8, 0x18, "UI", identity),
        element(8, 0x60, "CS", modality),
        element(8, 0x103E, "LO", description),
        element(0x20, 0xD, "UI", "1.2.3"),
        element(0x20, 0xE, "UI", series),
        element(0x20, 0x13, "IS", str(instance)),
    ]
    if position is not None:
        body += [element(0x20, 0x32, "DS", decimals(position)), element(0x20, 0x37, "DS", decimals(orientation))]
    body += [element(0x28, 2, "US", struct.pack("<H", samples)), element(0x28, 4, "CS", "MONOCHROME2")]
    if pixels.ndim == 3:
        body.append(element(0x28, 8, "IS", str(len(pixels))))
    body += [
        element(0x28, n, "US", struct.pack("<H", size)) for n, size in zip((16, 17), pixels.shape[-2:], strict=True)
    ]
    if position is not None:
        body.append(element(0x28, 0x30, "DS", decimals(spacing)))
    body += [element(0x28, n, "US", struct.pack("<H", v)) for n, v in ((256, 16), (257, 16), (258, 15), (259, 1))]
    if not groups:
        body += [element(0x28, 0x1052, "DS", f"{intercept}"), element(0x28, 0x1053, "DS", f"{slope}")]
    body += [groups, element(0x7FE0, 0x10, "OW", pixels.astype("<i2").tobytes())]
    return b"\0" * 128 + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + b"".join(body)


def dicom_series(array=None, affine=None, **fields) -> list[bytes]:
    """One file per slice of an (I, J, K) array whose first two axes are at right angles."""
    array = scan() if array is None else array
    lps = LPS_TO_RAS @ (oblique() if affine is None else affine)
    steps = np.linalg.norm(lps[:3, :2], axis=0)
    orientation = (lps[:3, :2] / steps).T.ravel()
    return [
        dicom(array[..., k].T, lps[:3] @ [0, 0, k, 1], orientation, steps[::-1], instance=k + 1, **fields)
        for k in range(array.shape[2])
    ]


def enhanced_dicom(array=None, affine=None, order=None, slopes=(2, -100), **fields) -> bytes:
    """A multi-frame file with functional groups; order: which slices, as frames."""
    array = scan() if array is None else array
    lps = LPS_TO_RAS @ (oblique() if affine is None else affine)
    steps = np.linalg.norm(lps[:3, :2], axis=0)
    order = range(array.shape[2]) if order is None else order
    measures = element(0x18, 0x50, "DS", "6") + element(0x28, 0x30, "DS", decimals(steps[::-1]))
    values = element(0x28, 0x1052, "DS", f"{slopes[1]}") + element(0x28, 0x1053, "DS", f"{slopes[0]}")
    shared = (
        sequence(0x20, 0x9116, element(0x20, 0x37, "DS", decimals((lps[:3, :2] / steps).T.ravel())))
        + sequence(0x28, 0x9110, measures)
        + sequence(0x28, 0x9145, values + element(0x28, 0x1054, "LO", "US"))
    )
    places = [sequence(0x20, 0x9113, element(0x20, 0x32, "DS", decimals(lps[:3] @ [0, 0, k, 1]))) for k in order]
    groups = sequence(0x5200, 0x9229, shared) + sequence(0x5200, 0x9230, *places)
    pixels = np.stack([array[..., k].T for k in order])
    return dicom(pixels, None, groups=groups, kind=ENHANCED_MR, **fields)


# --- folders and archives -------------------------------------------------------------------------------


def write_all(folder: Path, files, name="IM{:04d}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, content in enumerate(files):
        (folder / name.format(index)).write_bytes(content)
    return folder


def zipped(files: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def saved(folder, content: bytes, name="scan"):
    path = folder / name
    path.write_bytes(content)
    return path


def same(volume, array=None, affine=None, atol=1e-5):
    """Every voxel and its place."""
    np.testing.assert_array_equal(volume.array, (scan() if array is None else array).astype(np.float32))
    np.testing.assert_allclose(volume.affine, oblique() if affine is None else affine, atol=atol)
    assert volume.array.dtype == np.float32
    return True
