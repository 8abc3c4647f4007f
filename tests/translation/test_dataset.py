import itertools
import shutil
import zipfile
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from ganlab.checkpoints import save_tensors
from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.translation.dataset import checks
from ganlab.translation.dataset import prepare as preparation
from ganlab.translation.dataset.checks import overlap
from ganlab.translation.dataset.folders import Folders, describe, find_volumes
from ganlab.translation.dataset.prepare import prepare
from ganlab.translation.dataset.slices import Crop, check_planes, crop, draw_crop, slices
from ganlab.translation.inference import PLANES
from ganlab.translation.tasks import get_task

SHAPE = (24, 28, 20)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
MR2CT = get_task("mr2ct")


def head(kind, seed=0):
    """A box of tissue in air, brighter towards the patient's left, front and top, with a dense corner as bone."""
    i, j, k = np.meshgrid(*(np.linspace(0, 1, n) for n in SHAPE), indexing="ij")
    inside = np.zeros(SHAPE, bool)
    inside[4:20, 3:25, 4:17] = True
    ramp = 0.5 + 0.2 * (1 - i) + 0.1 * j + 0.05 * k + 0.01 * seed
    if kind == "ct":
        array = np.where(inside, 100 * ramp, -1000.0)
        array[5:8, 5:8, 5:8] = 1200
    elif kind == "fa":
        array = np.where(inside, ramp, 0.0)
    else:
        array = np.where(inside, 400 * ramp, 3.0)
    return Volume(array.astype(np.float32), AFFINE, modality=kind)


@pytest.fixture
def data(tmp_path):
    return make(tmp_path, "t1", "ct")


def make(path, source, target, count=3):
    places = Folders(path / "source", path / "target")
    for folder, kind in ((places.source, source), (places.target, target)):
        folder.mkdir(parents=True)
        for n in range(count):
            write_volume(head(kind, n), folder / f"p{n}.nii.gz")
    return places


def ready(data, out, task=MR2CT, paired=True, **options):
    listing = find_volumes(data, paired)
    return prepare(listing, describe(listing), task, out, **options)


def rewrite(path, change):
    volume = read_volume(path)
    write_volume(change(volume), path)


# --- refused volumes --------------------------------------------------------------------------------------


def missing(data):
    shutil.rmtree(data.target)


def a_file(data):
    shutil.rmtree(data.target)
    data.target.write_text("not a folder")


def empty(data):
    for path in data.source.iterdir():
        path.unlink()
    (data.source / "notes.txt").write_text("no volume")


def without_partners(data):
    for n in range(7):
        shutil.copy(data.source / "p0.nii.gz", data.source / f"q{n}.nii.gz")


def target_without_partner(data):
    (data.source / "p1.nii.gz").unlink()


def twice(data):
    write_volume(head("t1"), data.source / "p1.nii")


def far_apart(data):
    away = AFFINE.copy()
    away[:3, 3] = 500
    rewrite(data.target / "p1.nii.gz", lambda v: replace(v, affine=away))


def ct_among_mr(data):
    write_volume(head("ct"), data.source / "p2.nii.gz")


def mr_among_ct(data):
    write_volume(head("t1"), data.target / "p2.nii.gz")


def mr_as_ct(data):
    for n in range(3):
        write_volume(head("t1"), data.target / f"p{n}.nii.gz")


def nan(data):
    volume = head("t1")
    volume.array[3, 3, 3] = np.nan
    nib.save(nib.Nifti1Image(volume.array, AFFINE), data.source / "p1.nii.gz")


def unreadable(data):
    (data.target / "p1.nii.gz").write_bytes(b"nonsense")


def pickled(data):
    torch.save({"x": torch.zeros(1)}, data.source / "model.pt")


def dark(data):
    rewrite(data.source / "p0.nii.gz", lambda v: replace(v, array=-v.array))


def stripped(data):
    brain = np.indices((40, 40, 40)) - 19.5
    array = np.where((brain**2).sum(0) < 14**2, 500.0 + 100 * np.sin(brain / 3).sum(0), 0.0).astype(np.float32)
    write_volume(Volume(array, np.diag([4.5, 4.5, 4.5, 1])), data.source / "p0.nii.gz")


REFUSED = {
    missing: r"does not exist",
    a_file: r"cannot be read as a folder",
    empty: r"source\" holds no volumes",
    without_partners: r'"q0.nii.gz", .*"q4.nii.gz" and 2 more .* have no partner',
    target_without_partner: r'"p1.nii.gz" of ".*target" has no partner in ".*source"',
    twice: r'more than one volume named "p1"',
    far_apart: r'pair "p1" share .* mm, less than 10',
    ct_among_mr: r'"p2.nii.gz" in ".*source" looks like a CT',
    mr_among_ct: r'1 of 3 volumes in ".*target", "p2.nii.gz" among them',
    mr_as_ct: r"The volumes in \".*target\" do not look like a CT in HU",
    nan: r'"p1.nii.gz" in ".*source" has voxels that are NaN',
    unreadable: r'In ".*target", "p1.nii.gz" is not an image volume',
    pickled: r"model.pt\" is a pickled file \(.pt\), which can run any code",
    dark: r"the contrast is inverted",
    stripped: r'"p0.nii.gz" in ".*source" is skull-stripped',
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda f: f.__name__)
def test_refuses_unusable_volumes(data, tmp_path, spoil):
    spoil(data)
    with pytest.raises(InputError, match=REFUSED[spoil]) as raised:
        ready(data, tmp_path / "out")
    sentence = str(raised.value)
    assert sentence.endswith(".") and "\n" not in sentence
    assert not (tmp_path / "out").exists()


def test_fa_lies_between_0_and_1(tmp_path):
    data = make(tmp_path, "t1", "fa", 1)
    prepared = ready(data, tmp_path / "out", get_task("t1fa"))
    assert prepared.array(prepared.targets[0]).max() == pytest.approx(
        read_volume(data.target / "p0.nii.gz").array.max(), 1e-2
    )
    rewrite(data.target / "p0.nii.gz", lambda v: replace(v, array=v.array * 1000))
    with pytest.raises(InputError, match="FA lies between 0 and 1"):
        ready(data, tmp_path / "out", get_task("t1fa"))


def test_refuses_a_ct_in_place_of_mr(tmp_path):
    data = make(tmp_path, "ct", "t1", 2)
    prepared = ready(data, tmp_path / "out", get_task("ct2mr"))
    source, target = prepared.array(prepared.sources[0]), prepared.array(prepared.targets[0])
    assert source.min() == -1 and source.max() > 0.3
    assert target.min() >= 0 and 0.8 < np.percentile(target, 95) < 1.2
    same = shutil.copytree(data.source, tmp_path / "same")
    with pytest.raises(InputError, match="looks like a CT"):
        ready(Folders(data.source, same), tmp_path / "out", get_task("ct2mr"))


def test_refuses_to_prepare_volumes_without_enough_disk_space(data, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"prepared volumes take 1.2 MB, but .* has 1,000 bytes of space"):
        ready(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_preparation_continues_after_a_disk_was_full(data, tmp_path, monkeypatch):
    save, calls = np.save, itertools.count()

    def full(file, array):
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        save(file, array)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match=r"cannot be written .No space left"):
        ready(data, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.partial")) and not (tmp_path / "out/data/index.json").exists()
    assert len(ready(data, tmp_path / "out").targets) == 3


def test_refuses_to_write_into_the_users_folder(data, tmp_path):
    data.source.rename(tmp_path / "data")
    with pytest.raises(InputError, match="another --out"):
        ready(Folders(tmp_path / "data", data.target), tmp_path)


# --- found and prepared volumes ---------------------------------------------------------------------------


def test_volumes_of_all_formats_are_found_by_patient_name(data):
    import SimpleITK as sitk

    (data.source / "p0.nii.gz").unlink()
    sitk.WriteImage(sitk.GetImageFromArray(head("t1").array.T), data.source / "p0.mha")
    with zipfile.ZipFile(data.source / "p1.zip", "w") as archive:
        archive.write(data.source / "p1.nii.gz", "scan.nii.gz")
    (data.source / "p1.nii.gz").unlink()
    (data.source / "p2").mkdir()
    (data.source / "p2.nii.gz").rename(data.source / "p2" / "scan.nii.gz")
    for name in (".DS_Store", "readme.txt", "p1.json"):
        (data.source / name).write_text("{}")
    listing = find_volumes(data, True)
    assert [str(p.relative_to(data.source)) for p in listing.sources] == ["p0.mha", "p1.zip", "p2/scan.nii.gz"]
    assert [p.name for p in listing.targets] == ["p0.nii.gz", "p1.nii.gz", "p2.nii.gz"]
    before = describe(listing)
    (data.source / "p2" / "scan.nii.gz").write_bytes(b"other")
    assert [a == b for a, b in zip(before["sources"], describe(listing)["sources"], strict=True)] == [True, True, False]


def test_prepared_pairs_share_a_grid_in_the_networks_units(data, tmp_path):
    shares = []
    mirror = [[-1, 0, 0, 23], [0, 1, 0, 4], [0, 0, 1, 0], [0, 0, 0, 1]]
    turned = nib.Nifti1Image(head("ct").array[::-1, 4:], AFFINE @ mirror)
    nib.save(turned, data.target / "p0.nii.gz")  # another order of voxels, another field of view
    prepared = ready(data, tmp_path / "out", progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    for source, target in zip(prepared.sources, prepared.targets, strict=True):
        t1, ct = prepared.array(source), prepared.array(target)
        assert isinstance(t1, np.memmap) and t1.dtype == np.float16
        assert t1.shape == ct.shape == ((47, 47, 39) if source.name == "p0.nii.gz" else (47, 55, 39))
        assert ct.min() == -1 and 1.0 < ct.max() <= 1.2
        assert 0.9 < np.percentile(t1[t1 > 0.2], 95) < 1.1
        assert np.mean((t1 > 0.12) == (ct > -0.87)) > 0.99
    assert (tmp_path / "out" / "preview.png").read_bytes().startswith(b"\x89PNG")


def test_prepared_volumes_are_reused_until_one_changes(data, tmp_path, monkeypatch):
    first = ready(data, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(checks, "read_volume", None)  # would fail
        assert ready(data, tmp_path / "out") == first
    (tmp_path / "out/data/source-0001.npy").write_bytes(b"cut short")
    assert ready(data, tmp_path / "out") == first and first.array(first.sources[1]).shape == (47, 55, 39)
    rewrite(data.source / "p1.nii.gz", lambda v: replace(v, array=v.array[:, :20]))
    assert ready(data, tmp_path / "out").sources[1].shape == (47, 39, 39)


def test_overlap_of_two_grids():
    def grid(low, shape):
        affine = np.eye(4)
        affine[:3, 3] = low
        return affine, shape

    assert overlap(grid((0, 0, 0), (10, 10, 10)), grid((2.5, -3, 0), (20, 8, 10))) == (
        slice(3, 10), slice(0, 5), slice(0, 10)
    )  # fmt: skip
    empty = overlap(grid((0, 0, 0), (10, 10, 10)), grid((50, 0, 0), (10, 10, 10)))[0]
    assert empty.stop <= empty.start


# --- slices -----------------------------------------------------------------------------------------------


def first(prepared, seed, count=40, size=32):
    return list(itertools.islice(slices(seed, size, prepared), count))


def test_slices_are_reproducible_and_pairs_stay_aligned(data, tmp_path):
    prepared = ready(data, tmp_path / "out")
    a, b, c = (first(prepared, seed) for seed in (5, 5, 6))
    flat = [torch.stack([x for pair in run for x in pair]) for run in (a, b, c)]
    assert torch.equal(flat[0], flat[1]) and not torch.equal(flat[0], flat[2])
    for source, target in a:
        assert source.shape == target.shape == (1, 32, 32) and source.dtype == target.dtype == torch.float32
        assert ((source > 0.12) == (target > -0.87)).float().mean() > 0.95
        assert (source > 0.12).any()


@pytest.mark.slow
def test_unpaired_slices_are_drawn_independently(data, tmp_path):
    (data.target / "p2.nii.gz").rename(data.target / "someone.nii.gz")
    prepared = ready(data, tmp_path / "out", paired=False)
    assert len(prepared.sources) == 3 and prepared.targets[2].name == "someone.nii.gz"
    agree = [((s > 0.5) == (t > -0.5)).float().mean() for s, t in first(prepared, 0, size=48)]
    assert np.mean(np.array(agree) > 0.95) < 0.5


def test_a_crop_is_padded_with_air_and_mirrored_left_to_right():
    array = np.arange(2 * 3 * 4, dtype=np.float16).reshape(2, 3, 4)
    out = crop(array, Crop(2, 1, (-1, -2), False), 6, -7.0)
    np.testing.assert_array_equal(out[1:3, 2:5], array[:, :, 1])
    assert (out == -7).sum() == 36 - 6
    np.testing.assert_array_equal(crop(array, Crop(1, 0, (-1, -1), True), 6, 0.0)[::-1][1:3, 1:5], array[:, 0])
    np.testing.assert_array_equal(crop(array, Crop(0, 1, (1, 1), False), 2, 0.0), array[1, 1:3, 1:3])


def test_half_of_the_slices_are_mirrored_left_to_right_never_front_to_back(data, tmp_path):
    prepared = ready(data, tmp_path / "out")
    draw = np.random.default_rng(0)
    crops = [draw_crop(draw, prepared.sources[0], 32) for _ in range(600)]
    mirrored = [c.mirrored for c in crops if c.axis != 0]
    assert 0.4 < np.mean(mirrored) < 0.6 and not any(c.mirrored for c in crops if c.axis == 0)
    assert {c.axis for c in crops} == {0, 1, 2}
    assert all(c.index in prepared.sources[0].tissue[c.axis] for c in crops)


def test_a_checkpoint_is_not_taken_for_a_volume(data, tmp_path):
    save_tensors(data.source / "p9.safetensors", {"x": torch.zeros(1)}, {})
    assert len(find_volumes(data, True).sources) == 3  # passed over as any file of another kind


def test_slices_are_of_the_chosen_planes(data, tmp_path):
    prepared = ready(data, tmp_path / "out")
    draw = np.random.default_rng(0)
    for plane, axis in PLANES.items():
        assert {draw_crop(draw, prepared.sources[0], 16, (plane,)).axis for _ in range(8)} == {axis}
    assert {draw_crop(draw, prepared.sources[0], 16).axis for _ in range(40)} == {0, 1, 2}
    flat = prepared.sources[0]._replace(name="p9.nii.gz", tissue=((), (3,), ()))
    with pytest.raises(InputError, match="has no axial or sagittal slice"):
        check_planes(replace(prepared, sources=(flat,)), ("axial", "sagittal"))
    check_planes(replace(prepared, sources=(flat,)), ("axial", "coronal"))
