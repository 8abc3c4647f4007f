"""The Translate page in a real Chromium, from opening it to downloads."""

import re

import nibabel as nib
import numpy as np
import pytest

from ganlab.imaging.grid import canonical
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import make_patient

SMALL = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def is_picture(pixels):
    """Not blank: at least a fifth is not black, in at least 30 shades."""
    return len(pixels) >= 30 and pixels.get("0,0,0", 0) < 0.8 * sum(pixels.values())


def window(status):
    return tuple(float(n) for n in re.search(r"W (\d+) L (\S+?)\. ", status.replace("\u2212", "-")).groups())


def choose(page, seed=None):
    """Axial slices, which take a third of the time, and a seed."""
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Axial slices only").check()
    if seed is not None:
        page.fill("#seed input", str(seed))


def test_opens_on_a_patient_already_translated(viewer):
    viewer.open()
    assert viewer.status.startswith("Phantom patient 9000. Axial slice")
    assert is_picture(viewer.pixels())
    page = viewer.page
    assert page.locator("#metrics tbody tr").count() == 4
    assert page.locator("#histogram svg .gl-bars").count() == 3
    assert page.get_by_text("Not a medical device").count() == 1
    page.locator("#explanation .katex").first.wait_for()
    assert viewer.canvas.get_attribute("role") == "application" and viewer.canvas.get_attribute("aria-label")


def test_the_mouse_moves_the_crosshair_and_the_wheel_the_slice(viewer):
    viewer.open()
    before = viewer.crosshair()
    viewer.page.mouse.click(*viewer.at(0.2, 0.3))
    after = viewer.crosshair()
    assert after[0] > before[0] and after[1] > before[1], "left on the screen is the patient's right, up is anterior"
    assert after[2] == before[2]
    slices = [int(re.search(r"slice (\d+)", viewer.status)[1])]
    for delta in (-100, -100, 100):
        viewer.page.mouse.wheel(0, delta)
        viewer.wait_for_status(f"slice {slices[-1] - delta // 100}")
        slices.append(slices[-1] - delta // 100)
    viewer.drag((0.3, 0.5), (0.35, 0.6))
    assert viewer.crosshair()[:2] != after[:2]


def test_the_keyboard_moves_crosshair_and_slice(viewer):
    viewer.open()
    viewer.canvas.focus()
    x, y, z = viewer.crosshair()
    keys = viewer.page.keyboard
    for key in ("ArrowRight", "ArrowUp", "PageUp"):
        keys.press(key)
    right, front, top = viewer.crosshair()
    assert (right - x, front - y, top - z) == pytest.approx((-1.6, 1.6, 1.6), abs=0.11)
    keys.press("s")
    assert "Sagittal slice" in viewer.status
    keys.press("1")
    assert window(viewer.status) == (2000, 500)
    keys.press("]")
    assert "90 % interval, \u00b10 to \u00b1500 HU" in viewer.status
    keys.press("]")
    assert "Reference CT, W 2000" in viewer.status
    keys.press("h")
    viewer.page.locator(".gl-help").wait_for()  # drawn with the next frame
    keys.press("p")
    viewer.page.locator(".gl-profile").wait_for()  # drawn with the next frame


def test_windows_by_preset_by_typing_and_by_dragging(viewer):
    viewer.open()
    page = viewer.page
    page.get_by_role("button", name="Brain").click()
    assert window(viewer.status) == (80, 40)
    before = viewer.pixels()
    page.get_by_label("Window width").fill("1000")
    page.get_by_label("Window width").press("Enter")
    assert window(viewer.status) == (1000, 40)
    assert viewer.pixels() != before
    viewer.drag((0.2, 0.5), (0.3, 0.5), button="right")
    assert window(viewer.status)[0] > 1000 and window(viewer.status)[1] == 40
    viewer.canvas.dblclick(position={"x": 100, "y": 100})
    assert window(viewer.status) == (400, 40)
    before = viewer.crosshair()
    page.keyboard.down("w")
    viewer.drag((0.2, 0.5), (0.2, 0.6))
    page.keyboard.up("w")
    assert window(viewer.status)[1] > 40 and viewer.crosshair() == before


def test_layers_errors_and_comparisons(viewer):
    viewer.open()
    page = viewer.page
    page.get_by_role("group", name="Compare").get_by_text("Off").click()
    plain = viewer.pixels()
    page.get_by_role("group", name="Layer").get_by_text("Signed error").click()
    assert "Signed error, \u00b1300 HU" in viewer.status
    coloured = [colour for colour in viewer.pixels() if len(set(colour.split(","))) > 1]
    assert len(coloured) > 50, "a diverging map is not grey"
    values = {
        name: int(n.replace("\u2212", "-")) for name, n in re.findall(r"(\w+ \w+) ([+\u2212]?\d+) HU", viewer.status)
    }
    assert values["Signed error"] == values["Synthetic CT"] - values["Reference CT"]
    assert values["Absolute error"] == abs(values["Signed error"])
    page.get_by_role("group", name="Layer").get_by_text("Synthetic CT").click()
    assert viewer.pixels() == plain
    page.get_by_role("group", name="Compare").get_by_text("Blend").click()
    blended = viewer.pixels()
    page.get_by_role("group", name="Compare").get_by_text("Swipe").click()
    swiped = viewer.pixels()
    assert plain != blended != swiped != plain
    viewer.drag((0.32, 0.5), (0.1, 0.5))
    assert viewer.pixels() != swiped
    page.get_by_role("group", name="Layout").get_by_text("All layers").click()
    assert is_picture(viewer.pixels())


def test_sides_follow_the_convention(viewer):
    viewer.open()
    viewer.page.mouse.click(*viewer.at(0.2, 0.5))
    right = viewer.crosshair()[0]
    viewer.page.get_by_role("button", name="Neurological").click()
    viewer.page.mouse.click(*viewer.at(0.2, 0.5))
    assert right > 0 > viewer.crosshair()[0]
    assert viewer.crosshair()[0] == pytest.approx(-right, abs=12), "mirrored about the volume's middle"


def test_zoom_and_pan_keep_what_is_under_the_pointer(viewer):
    viewer.open()
    page = viewer.page
    page.mouse.click(*viewer.at(0.2, 0.4))
    crosshair = viewer.crosshair()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.mouse.click(*viewer.at(0.2, 0.4))
    assert viewer.crosshair() == pytest.approx(crosshair, abs=1.7)
    page.mouse.click(*viewer.at(0.3, 0.4))
    near = viewer.crosshair()
    viewer.drag((0.3, 0.4), (0.2, 0.4), button="middle")
    page.mouse.click(*viewer.at(0.2, 0.4))
    assert viewer.crosshair() == pytest.approx(near, abs=1.7)


def test_a_line_profile_is_drawn(viewer):
    viewer.open()
    viewer.page.get_by_role("button", name="Profile").click()
    viewer.drag((0.15, 0.3), (0.45, 0.6))
    colours = viewer.page.evaluate(
        """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector('.gl-profile');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const seen = {synthetic: 0, reference: 0};
            for (let i = 0; i < data.length; i += 4) {
                const colour = [data[i], data[i + 1], data[i + 2]].join();
                if (colour === '230,159,0') seen.synthetic++;
                if (colour === '0,114,178') seen.reference++;
            }
            done(seen);
        })))"""
    )
    assert colours["synthetic"] > 100 and colours["reference"] > 100


def test_downloads(viewer, tmp_path):
    viewer.open()
    page = viewer.page
    with page.expect_download() as picture:
        page.get_by_role("button", name="Save PNG").click()
    assert picture.value.suggested_filename == "phantom-9000-axial.png"
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as volume:
        page.get_by_role("link", name="Synthetic CT, NIfTI").click()
    volume.value.save_as(tmp_path / "ct.nii.gz")
    image = nib.load(tmp_path / "ct.nii.gz")
    assert image.get_data_dtype() == np.int16 and image.get_fdata().min() < -900
    with page.expect_download() as series:
        page.get_by_role("link", name="Synthetic CT, DICOM").click()
    assert series.value.suggested_filename == "phantom-9000-synthetic-ct-dicom.zip"
    series.value.save_as(tmp_path / "ct.zip")
    volume = read_volume(tmp_path / "ct.zip")
    assert volume.modality == "ct" and np.array_equal(canonical(volume).array, image.get_fdata())


def test_a_link_opens_its_patient_and_the_next_visitor_does_not_wait(viewer, new_viewer):
    viewer.open("/?tab=translate&seed=7&planes=axial")
    opening = viewer.token
    viewer.wait_for_result_after(opening)
    assert viewer.status.startswith("Phantom patient 7.")
    assert is_picture(viewer.pixels())
    assert viewer.page.input_value("#seed input") == "7"
    viewer.page.get_by_role("button", name="How it was made").click()
    assert "phantom --seed 7 --out patient-7 --spacing 4" in viewer.page.inner_text("#made")

    other = new_viewer().open()
    choose(other.page, seed=7)
    other.page.click("#translate")
    other.wait_for_result_after(other.token)
    assert other.token == viewer.token


def test_a_patient_with_a_lesion_under_another_scanner(viewer, new_viewer):
    viewer.open()
    opening, page = viewer.token, viewer.page
    page.get_by_role("button", name="How it was made").click()
    before = page.inner_text("#made")
    page.locator("#patient > button").click()
    slider = page.locator("#ventricles input[type=number]")
    slider.wait_for()
    assert slider.input_value() == "1.3", "where the seed has it"
    page.fill("#seed input", "7")
    page.get_by_text("1.4 times the mean in patient 7").wait_for()
    assert slider.input_value() == "1.4"
    page.get_by_label("Tumour").check()
    page.get_by_label("Dental fillings").check()
    page.locator("#ventricles input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#scanner > button").click()
    page.get_by_label("Clinical").check()
    choose(page)
    assert viewer.token == opening and page.inner_text("#made") == before, "nothing runs before it is asked for"
    page.click("#translate")
    viewer.wait_for_result_after(opening)
    title = "Phantom patient 7: tumour, dental fillings, ventricles 1.5 times the mean, clinical scanner"
    assert viewer.status.startswith(f"{title}. Axial slice") and is_picture(viewer.pixels())
    assert page.inner_text("#headline h2") == title
    assert "--lesion tumour --fillings --ventricles 1.5 --scanner clinical" in page.inner_text("#made")
    assert "15 %" in page.inner_text("#notices")

    other = new_viewer().open(f"/{page.get_attribute('#made a', 'href')}")
    other.wait_for_status(f"{title}. ")
    assert other.token == viewer.token, "the link asks for the very same"
    assert other.page.get_by_label("Tumour").is_checked() and other.page.get_by_label("Clinical").is_checked()
    assert other.page.input_value("#ventricles input[type=number]") == "1.5"


def test_cancel_keeps_the_picture_and_the_next_patient_can_be_made(viewer):
    viewer.open()
    opening = viewer.token
    page = viewer.page
    page.click("#new-patient")
    page.locator("#work").get_by_text("Making the patient").wait_for()  # before this there is nothing to cancel
    page.click("#cancel:not([disabled])")
    page.get_by_role("alert").get_by_text("Cancelled").wait_for()
    assert viewer.token == opening and page.is_disabled("#cancel")
    choose(page, seed=7)
    page.click("#translate:not([disabled])")
    viewer.wait_for_result_after(opening)
    assert viewer.status.startswith("Phantom patient 7.")
    assert page.get_by_role("alert").count() == 0


def test_a_scan_is_checked_before_it_is_translated(viewer, tmp_path):
    (tmp_path / "notes.txt").write_text("This is not a scan.")
    write_volume(make_patient(seed=7, modalities=("ct",), spacing=4.0)["ct"], tmp_path / "ct.nii.gz")
    viewer.open()
    opening, page = viewer.token, viewer.page
    alert, upload = page.locator("#checked [role=alert]"), page.locator("#scan input[type=file]")
    page.get_by_label("Your scan").check()
    upload.set_input_files(tmp_path / "notes.txt")
    alert.get_by_text("notes.txt").wait_for()
    assert alert.inner_text().endswith(".") and "Traceback" not in page.content()
    page.wait_for_selector("#translate[disabled]")
    page.get_by_label("Phantom patient").check()
    page.wait_for_selector("#translate:not([disabled])")
    assert alert.count() == 0
    page.get_by_label("Your scan").check()
    alert.get_by_text("notes.txt").wait_for()

    page.locator("#scan").get_by_label("Clear").first.click()
    alert.wait_for(state="detached")
    upload.set_input_files(tmp_path / "ct.nii.gz")
    alert.get_by_text("looks like a CT").wait_for()
    page.wait_for_selector("#translate[disabled]")
    page.locator("#task").get_by_label("CT \N{RIGHTWARDS ARROW} T1").check()
    page.locator("#checked").get_by_text("4.0 mm apart").wait_for()
    page.wait_for_selector("#translate:not([disabled])")
    assert alert.count() == 0
    assert viewer.token == opening and is_picture(viewer.pixels())


def test_colin27_is_translated_at_a_click_and_stays_on_the_machine(colin27, viewer):
    viewer.open()
    opening = viewer.token
    page = viewer.page
    page.get_by_label("Colin27, a real head").check()
    assert not page.locator("#seed").is_visible() and not page.locator("#scan").is_visible()
    choose(page)
    page.click("#translate")
    viewer.wait_for_result_after(opening)
    assert viewer.status.startswith("Colin27, a real head. Axial slice")
    assert is_picture(viewer.pixels())
    page.close()
    assert colin27.is_file()


def test_a_real_scan_becomes_a_ct_on_its_grid_and_is_deleted_with_its_page(real_t1, viewer, browser, uploads, tmp_path):
    viewer.open()
    opening = viewer.token
    page = viewer.page
    page.get_by_label("Your scan").check()
    page.set_input_files("#scan input[type=file]", real_t1)
    page.locator("#scan").get_by_text("t1_head_real").first.wait_for()
    choose(page)
    page.click("#translate")
    viewer.wait_for_result_after(opening)
    assert viewer.status.startswith("t1_head_real.nii.gz. Axial slice")
    assert is_picture(viewer.pixels())
    assert "Metrics need a CT" in page.inner_text("#metrics")
    with page.expect_download() as volume:
        page.get_by_role("link", name="Synthetic CT, NIfTI").click()
    volume.value.save_as(tmp_path / "ct.nii.gz")
    source, translated = nib.load(real_t1), nib.load(tmp_path / "ct.nii.gz")
    assert translated.shape == source.shape and np.allclose(translated.affine, source.affine, atol=1e-4)
    assert translated.get_fdata().min() < -900 and translated.get_fdata().max() > 300

    layer = f"{viewer.address}/gradio_api/ganlab/volumes/{viewer.token}/input.i16"
    visitor = browser.new_context()
    assert visitor.request.head(layer).status == 200
    assert list(uploads.rglob("*.nii.gz"))
    page.close()
    for _ in range(2000):  # each a round trip, until the server notices that the page is closed
        if visitor.request.head(layer).status == 404:
            break
    else:
        pytest.fail("the volumes of a closed page are still served")
    assert not list(uploads.rglob("*.nii.gz"))
    visitor.close()


def test_on_a_phone_everything_fits_and_touch_works(new_viewer):
    viewer = new_viewer(**SMALL).open()
    page = viewer.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert is_picture(viewer.pixels())
    before = viewer.crosshair()
    viewer.canvas.scroll_into_view_if_needed()
    page.touchscreen.tap(*viewer.at(0.3, 0.2))
    after = viewer.crosshair()
    assert after[0] > before[0] and after[1] > before[1]
    page.locator("#patient > button").click()
    page.locator("#ventricles").wait_for()
    page.locator("#scanner > button").click()
    page.get_by_label("Clinical").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_mode_reaches_the_canvas(new_viewer):
    centres = {}
    for scheme in ("light", "dark"):
        viewer = new_viewer(color_scheme=scheme).open()
        viewer.page.get_by_role("group", name="Layer").get_by_text("Signed error").click()
        viewer.page.get_by_role("group", name="Compare").get_by_text("Off").click()
        pixels = viewer.pixels()
        commonest = max(pixels, key=pixels.get)
        centres[scheme] = sum(map(int, commonest.split(","))) / 3
    assert centres["light"] > 220 and centres["dark"] < 40, "no error is the colour of the page"
