from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ganlab.errors import Cancelled, InputError
from ganlab.imaging.registration import _match_doubts, _motion_doubts, register_rigid
from ganlab.imaging.volume import Origin, Volume

pytestmark = pytest.mark.slow

CT = {"air": -1000, "skin": 30, "bone": 900, "brain": 35, "fluid": 5, "eye": 10, "lesion": 70}
MR = {"air": 5, "skin": 700, "bone": 60, "brain": 600, "fluid": 150, "eye": 180, "lesion": 300}


def head(points, values):
    """Intensities of a head of ellipsoids with one ear and one lesion, at points (..., 3) in RAS mm."""
    x, y, z = np.moveaxis(points, -1, 0)

    def ellipsoid(centre, radii):
        return sum(((u - c) / r) ** 2 for u, c, r in zip((x, y, z), centre, radii, strict=True)) < 1

    image = np.full(x.shape, float(values["air"]))
    for tissue, region in (
        ("skin", (x**2 + (y + 20) ** 2 < 55**2) & (z < -40)),
        ("skin", ellipsoid((0, 0, 0), (78, 98, 90))),
        ("skin", ellipsoid((0, 100, -45), (14, 18, 20))),
        ("skin", ellipsoid((85, -5, -25), (8, 20, 25))),
        ("bone", ellipsoid((0, 0, 0), (72, 92, 84))),
        ("brain", ellipsoid((0, 0, 0), (65, 85, 77))),
        ("fluid", ellipsoid((12, 10, 10), (9, 30, 14))),
        ("fluid", ellipsoid((-12, 5, 10), (12, 34, 12))),
        ("eye", ellipsoid((30, 72, -35), (13, 13, 13))),
        ("eye", ellipsoid((-30, 72, -35), (13, 13, 13))),
        ("air", ellipsoid((0, 60, -60), (18, 25, 18))),
        ("lesion", ellipsoid((38, -40, 25), (16, 12, 14))),
        ("bone", (x**2 + (y + 25) ** 2 < 14**2) & (z < -60)),
    ):
        image[region] = values[tissue]
    return image


def rigid(degrees=(0, 0, 0), shift=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def grid(shape, axes, centre=(0, 0, 0)):
    """The affine of a grid whose columns are `axes` (3, 3), in mm a voxel, about a centre."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def points(shape, affine):
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def scan(values, shape, affine, pose, noise, seed):
    """The head, brought by `pose` from its own to scanner coordinates, as voxels with noise."""
    home = np.linalg.inv(pose)
    image = head(points(shape, affine) @ home[:3, :3].T + home[:3, 3], values)
    image = ndimage.gaussian_filter(image, 0.5) + np.random.default_rng(seed).normal(0, noise, shape)
    unit, modality = ("HU", "ct") if values is CT else ("arbitrary", "t1")
    return Volume(image.astype(np.float32), affine, unit, modality)


MR_SHAPE = (80, 94, 90)
MR_AFFINE = grid(MR_SHAPE, np.diag([2.5, 2.5, 2.5]))


@pytest.fixture(scope="module")
def mr():
    return scan(MR, MR_SHAPE, MR_AFFINE, np.eye(4), noise=20, seed=1)


def error(matrix, truth):
    """(degrees, mm at the worst corner of a 160 mm cube about the head's centre)."""
    difference = np.linalg.inv(truth) @ matrix
    degrees = np.degrees(Rotation.from_matrix(difference[:3, :3]).magnitude())
    corners = np.array(np.meshgrid([-80, 80], [-80, 80], [-80, 80], [1])).reshape(4, -1)
    return degrees, np.linalg.norm((matrix - truth) @ corners, axis=0).max()


def axial(spacing, left_first=False):
    axes = np.diag(np.asarray(spacing, float))
    axes[0, 0] *= -1 if left_first else 1
    return axes


@pytest.mark.parametrize(
    ("pose", "shape", "axes"),
    [
        pytest.param(rigid((12, -8, 20), (25, -40, 30)), (84, 120, 90), axial((2.4, 2, 2.5)), id="turned"),
        pytest.param(
            rigid((-25, 10, -15), (-30, 20, -1200)),
            (120, 150, 48),
            axial((1.9, 1.6, 4), left_first=True),
            id="nodding, thick slices, far-off coordinates, stored right to left",
        ),
        pytest.param(
            rigid((5, 0, -10), (10, 30, 0)),
            (90, 80, 100),
            rigid((15, -10, 5))[:3, :3] @ np.array([[0, 0, 2.5], [-2.5, 0, 0], [0, 2.5, 0]]),
            id="oblique, axes permuted, neck and vertex cut",
        ),
    ],
)
def test_registers_a_moved_head(mr, pose, shape, axes):
    ct = scan(CT, shape, grid(shape, axes, pose[:3, 3]), pose, noise=15, seed=2)
    registered, matrix = register_rigid(ct, mr)
    degrees, mm = error(matrix, pose)
    assert degrees < 1
    assert mm < 1
    assert registered.notices == ()
    assert registered.shape == mr.shape
    assert np.array_equal(registered.affine, mr.affine)
    assert (registered.unit, registered.modality) == ("HU", "ct")

    truth = head(points(MR_SHAPE, MR_AFFINE), CT)
    to_voxels = np.linalg.inv(ct.affine) @ pose @ MR_AFFINE
    voxels = points(MR_SHAPE, to_voxels)
    inside = ((voxels > 1) & (voxels < np.array(shape) - 2)).all(axis=-1)
    far_outside = ((voxels < -2) | (voxels > np.array(shape) + 1)).any(axis=-1)
    assert np.abs(registered.array - truth)[inside].mean() < 80
    assert (registered.array[far_outside] == -1000).all()


def test_registration_reports_its_progress_all_the_time_and_can_be_stopped(mr):
    ct = scan(CT, MR_SHAPE, MR_AFFINE, np.eye(4), noise=15, seed=2)
    shares = []
    register_rigid(ct, mr, shares.append)
    assert shares == sorted(shares) and shares[0] == 0 and max(np.diff([*shares, 1])) < 0.12

    def stop(share):
        if share > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        register_rigid(ct, mr, stop)


def test_an_aligned_head_stays_and_results_repeat_exactly(mr):
    ct = scan(CT, MR_SHAPE, MR_AFFINE, np.eye(4), noise=15, seed=2)
    mr = replace(mr, origin=Origin(sform=4, qform=1, dicom={"FrameOfReferenceUID": "1.2.3"}))
    registered, matrix = register_rigid(replace(ct, origin=Origin(sform=2)), mr)
    assert registered.origin == mr.origin  # it lies in the space of the grid that it was registered to
    degrees, mm = error(matrix, np.eye(4))
    assert degrees < 0.3
    assert mm < 0.6
    again, same = register_rigid(ct, mr)
    assert np.array_equal(matrix, same)
    assert np.array_equal(registered.array, again.array)


def test_warns_when_an_image_is_not_a_head(mr):
    shape = (60, 60, 60)
    affine = grid(shape, np.diag([3.0, 3.0, 3.0]))
    ball = np.where(np.linalg.norm(points(shape, affine), axis=-1) < 30, 40, -1000)
    registered, _ = register_rigid(Volume(ball.astype(np.float32), affine, "HU", "ct"), mr)
    assert any("the bodies overlap by a Dice of 0." in notice for notice in registered.notices)


def test_warns_when_two_heads_do_not_match(mr):
    ct = scan(CT, MR_SHAPE, MR_AFFINE, np.eye(4), noise=15, seed=2)
    blurred = ndimage.gaussian_filter(np.where(ct.array > -500, 0, -1000).astype(np.float32), 12)
    registered, _ = register_rigid(Volume(blurred, MR_AFFINE, "HU", "ct"), mr)
    assert any("of the mutual information, expected at least 25%" in notice for notice in registered.notices)


def test_warnings_start_at_the_limits(mr):
    assert _match_doubts(overlap=0.81, loss=0.26) == []
    assert "Dice of 0.79, expected at least 0.8" in _match_doubts(overlap=0.79, loss=0.4)[0]
    assert "12 mm costs 24% of" in _match_doubts(overlap=0.9, loss=0.24)[0]
    assert len(_match_doubts(overlap=float("nan"), loss=float("nan"))) == 2
    assert _motion_doubts(rigid((0, 0, 55), (90, 0, 0)), mr, mr) == []
    assert "rotated by 70 degrees, expected at most 60" in _motion_doubts(rigid((0, 0, 70)), mr, mr)[0]
    assert "120 mm apart, expected at most 100" in _motion_doubts(rigid(shift=(0, 120, 0)), mr, mr)[0]


@pytest.mark.parametrize("shape", [(30, 30, 30), (30, 30, 1)], ids=["constant", "one slice"])
def test_refuses_an_image_that_cannot_be_registered(mr, shape):
    array = np.zeros(shape, np.float32)
    if shape[2] == 1:
        array[10:20, 10:20] = 1000
    with pytest.raises(InputError, match=r"no contrast|at least 4 slices"):
        register_rigid(Volume(array, grid(shape, np.diag([5.0, 5.0, 5.0])), "HU", "ct"), mr)
