"""A user's own images: which files are read and which refused."""

import re
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import InputError
from ganlab.generation.config import GanConfig
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.own_images import held_out, own_kind, read_as, read_files, read_folder, read_image
from ganlab.generation.presets import get_preset, on_own
from ganlab.imaging.reading.pictures import read_picture
from tests.imaging.reading import dicom_makers as makers


def ramp(height, width):
    return np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Eighteen readable pictures of three sizes and kinds."""
    for k in range(6):
        Image.fromarray(ramp(40, 30 + k)).save(tmp_path / f"grey{k}.png")
        Image.fromarray(np.stack([ramp(32, 32)] * 4, -1)).save(tmp_path / f"alpha{k}.png")
        Image.fromarray(ramp(64, 64)).convert("RGB").save(tmp_path / f"photo{k}.jpg")
    return tmp_path


def read_all(folder, size):
    return read_files(sorted(folder.rglob("*.*g")), size, "the folder")


def test_a_folder_becomes_squares_of_one_size(folder):
    images, notices = read_all(folder, 28)
    assert images.images.shape == (18, 1, 28, 28)
    assert images.images.min() >= -1 and images.images.max() <= 1
    assert len(notices) == 1 and "differ in size" in notices[0]
    config = on_own(get_preset("dcgan-digits"), images)
    assert config.data == "own-28" and config.network.classes == 0


def test_16_bits_are_kept(tmp_path):
    values = (1000 + np.arange(1024).reshape(32, 32)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    result = read_picture(tmp_path / "deep.png")
    assert result.depth == "16-bit" and result.form == "PNG"
    np.testing.assert_array_equal(result.grey, values)


def exported(folder, count=20, low=1000, high=2000):
    """16-bit pictures with these values, as CT is exported; the last one has half the maximum of the others."""
    folder.mkdir(exist_ok=True)
    tops = [high] * (count - 1) + [(low + high) // 2]
    for k, top in enumerate(tops):
        values = np.linspace(low, top, 32 * 32).reshape(32, 32).round().astype(np.uint16)
        Image.fromarray(values).save(folder / f"slice{k:02d}.png")
    return folder


def test_16_bit_pictures_of_a_folder_share_one_range(tmp_path):
    images, notices = read_all(exported(tmp_path), 32)
    assert len(notices) == 1 and re.search(r"20 16-bit pictures: black is 1,00\d and white is 1,99\d", notices[0])
    assert images.images[0].min() == -1 and images.images[0].max() == 1
    assert images.images[-1].max() == pytest.approx(0, abs=0.02)  # one range, not each picture's own
    assert images.images[0].mean() == pytest.approx(0, abs=0.02)


def test_8_bit_pictures_keep_their_range_beside_16_bit_ones(folder):
    alone, notices_alone = read_all(folder, 32)
    exported(folder / "zz", 4)
    images, notices = read_all(folder, 32)
    assert torch.equal(images.images[:18], alone.images) and images.images[18:22].max() == 1
    assert len(notices) == len(notices_alone) + 1 and "4 16-bit pictures" in notices[-1]


def test_stacks_and_deep_pictures_of_all_kinds_are_used_and_said(tmp_path):
    for k in range(8):
        signed = np.linspace(-1000, 1000 + k, 32 * 32).reshape(32, 32)
        Image.fromarray(signed.astype(np.int32)).save(tmp_path / f"a{k}.tif")
        Image.fromarray(signed.astype(np.float32)).save(tmp_path / f"b{k}.tif")
    pages = [Image.fromarray(ramp(32, 32) // (k + 1)) for k in range(30)]
    pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
    images, notices = read_files(sorted(tmp_path.glob("*.tif")), 32, "the folder")
    assert len(images) == 16 + 30
    assert any("1 files are stacks: all of their 30 pages" in notice for notice in notices)
    assert any(re.search(r"16 floating-point and signed 32-bit pictures: black is -99\d", notice) for notice in notices)
    torch.testing.assert_close(images.images[0], images.images[8], atol=0.01, rtol=0)


def test_a_training_is_not_resumed_on_other_images_of_the_same_names(tmp_path):
    from dataclasses import replace

    from ganlab.generation.own_images import judged_kind
    from ganlab.generation.trainer import train

    torch.set_num_threads(1)
    for name, step in (("a", 4), ("b", 8)):
        (tmp_path / name).mkdir()
        for k in range(20):
            values = ramp(16, 16) // 2
            values[::step] = 200 + k
            Image.fromarray(values).save(tmp_path / name / f"i{k:02d}.png")
    trained = []
    for name in ("a", "b"):
        images, *_ = read_folder(tmp_path / name, 16)
        config = on_own(get_preset("dcgan-digits", steps=2), images)
        trained.append((replace(config, batch=8, network=replace(config.network, width=4)), images))
    (config, images), (other, others) = trained
    list(train(config, tmp_path / "out", "cpu", images=images))
    with pytest.raises(InputError, match="learned from other images"):
        list(train(replace(other, steps=3), tmp_path / "out", "cpu", resume=True, images=others))
    list(train(replace(config, steps=3), tmp_path / "out", "cpu", resume=True, images=images))
    assert judged_kind("x", config, tmp_path / "a").count == len(images)
    with pytest.raises(InputError, match="others to train on"):
        judged_kind("x", config, tmp_path / "b")


def test_a_16_bit_picture_to_invert_is_not_black(tmp_path):
    exported(tmp_path, 1)
    image = read_as(tmp_path / "slice00.png", get_kind("digits"))
    assert image.min() == -1 and image.max() == 1 and image.mean() == pytest.approx(0, abs=0.02)
    dots = np.full((32, 32), 1000, np.uint16)
    dots[3, 3] = 1500  # less than a two hundredth of the pixels
    Image.fromarray(dots).save(tmp_path / "dot.png")
    assert read_as(tmp_path / "dot.png", get_kind("own-32")).max() == 1


def test_transparent_is_black(tmp_path):
    pixels = np.full((16, 16, 4), 255, np.uint8)
    pixels[:8, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "half.png")
    result = read_picture(tmp_path / "half.png").grey
    assert (result[:8] == 0).all() and (result[8:] == 1).all()


def test_resampling_keeps_the_mean(tmp_path):
    Image.fromarray(ramp(96, 96)).save(tmp_path / "large.png")
    images, shapes, _ = read_image(tmp_path / "large.png", 32)
    assert shapes == {(96, 96)}
    assert images.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LIA", "PIR", "ASL"])
def test_a_volume_gives_its_middle_axial_slices_anterior_up_however_it_is_stored(tmp_path, axes):
    import nibabel
    from nibabel.orientations import axcodes2ornt, ornt_transform

    array = np.zeros((20, 20, 12), np.float32)
    array[:, 15:, :] = 100.0  # anterior
    image = nibabel.Nifti1Image(array, np.diag([10.0, 10.0, 10.0, 1.0]))
    image = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes)))
    image.to_filename(tmp_path / "head.nii.gz")
    images, *_ = read_image(tmp_path / "head.nii.gz", 20)
    assert images.shape == (6, 1, 20, 20)
    assert images[:, :, :4].mean() > 0.9 > -0.9 > images[:, :, 10:].mean()


def huge_png(path, width, height):
    """A PNG whose header promises more than the file holds."""
    chunks = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(9)))
    packed = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def test_unreadable_files_are_named_and_the_rest_is_used(folder):
    huge_png(folder / "wide.png", 100_000, 40)
    (folder / "broken.jpg").write_bytes((folder / "photo0.jpg").read_bytes()[:200])
    (folder / "words.png").write_text("no picture")
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(folder / "flat.png")
    Image.fromarray(ramp(4, 4)).save(folder / "tiny.png")
    images, notices = read_all(folder, 16)
    assert len(images) == 18
    text = " ".join(notices)
    for words in (
        '"wide.png" has 100,000 x 40',
        '"broken.jpg" is not a picture',
        '"words.png" is not a picture',
        "single grey value",
        "4 x 4",
    ):
        assert words in text


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        read_folder(tmp_path, 16)
    Image.fromarray(ramp(16, 16)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="holds 1 readable images; at least 16 are needed"):
        read_folder(tmp_path, 16)
    with pytest.raises(InputError, match="is not a folder"):
        read_folder(tmp_path / "nowhere", 16)


def test_one_file_in_five_is_held_out_whatever_is_added(tmp_path):
    files = [tmp_path / f"patient {k}" / "t1.png" for k in range(2000)]
    apart = held_out(files, tmp_path)
    assert 350 < len(apart) < 450
    assert held_out(files[:100], tmp_path) == apart & set(files[:100])
    moved = [tmp_path / "elsewhere" / p.relative_to(tmp_path) for p in files]
    assert {p.parent for p in held_out(moved, tmp_path / "elsewhere")} == {
        tmp_path / "elsewhere" / p.parent.name for p in apart
    }
    for few in (files[k : k + 2] for k in range(0, 100, 2)):
        assert len(held_out(few, tmp_path)) == 1
    assert held_out(files[:1], tmp_path) == set()


def volumes(folder, count, depth=20):
    import nibabel

    for k in range(count):
        array = np.random.default_rng(k).random((24, 24, depth)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(array, np.diag([4.0, 4.0, 4.0, 1.0])), folder / f"{k}.nii.gz")
    return folder


def test_slices_of_a_volume_stay_together(tmp_path):
    training, evaluation, notices = read_folder(volumes(tmp_path, 3), 24)
    assert (len(training), len(evaluation)) == (20, 10)
    assert "10 of 30 images are held out" in notices[-1]
    sides = [{image.numpy().tobytes() for image in part.images} for part in (training, evaluation)]
    assert not sides[0] & sides[1] and len(sides[1]) == 10


def test_a_single_volume_allows_training_but_no_evaluation(tmp_path):
    training, evaluation, _ = read_folder(volumes(tmp_path, 1, 40), 16)
    assert len(training) == 20 and not len(evaluation)
    with pytest.raises(InputError, match="single volume"):
        own_kind(tmp_path, 16)


def test_own_images_are_split_into_training_and_held_out_ones(folder):
    training, evaluation, _ = read_folder(folder, 16)
    kind, _ = own_kind(folder, 16)
    assert kind.count == len(training)
    for held, part in ((False, training), (True, evaluation)):
        loaded = load_images(kind, held)
        sums = sorted(x.sum().item() for x in part.images)
        assert sorted(x.sum().item() for x in loaded.images) == pytest.approx(sums)


def test_training_on_own_images_gives_a_model_that_generates(folder, tmp_path):
    from dataclasses import replace

    from ganlab.generation.sampling import generate
    from ganlab.generation.trainer import train

    torch.set_num_threads(1)
    images, *_ = read_folder(folder, 16)
    config = on_own(get_preset("dcgan-digits", steps=2), images)
    config = replace(config, batch=8, network=replace(config.network, width=4))
    assert isinstance(config, GanConfig)
    out = tmp_path / "out"
    kinds = [event.kind for event in train(config, out, "cpu", images=images)]
    assert kinds == ["step", "step", "checkpoint", "preview"]
    assert generate(str(out), 3).images.shape == (3, 16, 16)
    assert f"{len(images)} images of the user's own" in (out / "card.md").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="give their folder again with --source"):
        list(train(replace(config, steps=3), out, "cpu", resume=True))


def head(axes="RAS", air=-1000.0, tissue=40.0, mark=1200.0):
    """A ball of a head, 80 mm in radius, 30 mm off the middle of its field of view, 2 mm voxels in this order; a mark
    in front and to the patient's right."""

    at = (np.indices((110, 110, 100)) - 50).transpose(1, 2, 3, 0) * 2.0 - (30.0, 0.0, 0.0)
    array = np.where(np.linalg.norm(at, axis=-1) < 80, tissue, air)
    array[np.linalg.norm(at - (40.0, 30.0, 0.0), axis=-1) < 20] = mark
    image = nib.Nifti1Image(array.astype(np.float32), np.diag([2.0, 2, 2, 1]))
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    return image.as_reoriented(turn)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
def test_a_scan_is_oriented_and_centred_as_in_training(tmp_path, axes):
    head(axes).to_filename(tmp_path / "ct.nii.gz")
    kind = get_kind("brain-ct-64")
    images = read_as(tmp_path / "ct.nii.gz", kind)
    assert images.shape[1:] == (1, 64, 64) and abs(len(images) * kind.mm - 130) < 2 * kind.mm
    hu = kind.to_unit(images)
    y, x = np.argwhere(hu[len(hu) // 3] > -500).T
    assert abs(x.mean() - 31.5) < 1.5 and abs(y.mean() - 31.5) < 1.5  # the head is in the middle
    _, y, x = np.argwhere(hu > 800).T
    assert x.mean() < 26 and y.mean() < 26  # the patient's right is on the left, the front is up


def test_a_t1_is_scaled_and_a_ct_is_refused_in_its_place(tmp_path):
    head(air=0.0, tissue=300.0, mark=320.0).to_filename(tmp_path / "t1.nii.gz")
    kind = get_kind("brain-t1-64")
    t1 = kind.to_unit(read_as(tmp_path / "t1.nii.gz", kind))
    assert 0.85 < np.median(t1[t1 > 0.2]) < 1.05
    head().to_filename(tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="does not look like an MR"):
        read_as(tmp_path / "ct.nii.gz", kind)
    with pytest.raises(InputError, match="does not look like a CT"):
        read_as(tmp_path / "t1.nii.gz", get_kind("nodules"))
    with pytest.raises(InputError, match="outside 0 to 1"):
        read_as(tmp_path / "t1.nii.gz", get_kind("brain-fa-64"))


def test_every_kind_accepts_a_picture(tmp_path):
    Image.fromarray(ramp(40, 40)).save(tmp_path / "a.png")
    assert read_as(tmp_path / "a.png", get_kind("nodules")).shape == (1, 1, 56, 56)
    assert read_as(tmp_path / "a.png", get_kind("digits")).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("what", ["x-rays", "x-rays, low is white", "single slices"])
def test_dicom_files_that_are_no_volume_are_pictures(tmp_path, what):
    for number in range(20):
        pixels = np.zeros((64, 64, 1), np.int16)
        pixels[16:48, 10 + number : 40 + number] = 900
        [data] = makers.series(pixels, modality="CT", RescaleIntercept=-1000)
        data.SOPInstanceUID += f".{number}"
        data.SeriesInstanceUID += f".{number}"
        if what != "single slices":
            del data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing
        if "white" in what:
            data.PhotometricInterpretation = "MONOCHROME1"
        makers.write(tmp_path, [data], f"p{number:02d}.dcm")
    training, evaluation, notices = read_folder(tmp_path, 32)
    assert len(training) + len(evaluation) == 20
    black, white = ("-1,901", "-1,001") if "white" in what else ("-1,000", "-100")
    assert f"20 DICOM pictures: black is {black} and white is {white} in all of them." in notices
    first = training.images[0, 0]
    assert (first[16, 16] > 0.9) == ("white" not in what) and (first[0, 0] > 0.9) == ("white" in what)
