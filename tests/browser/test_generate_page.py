"""The Generate page: latent space, inversion, quality and training, as a visitor uses them."""

import json
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

READY = 60_000  # ms, on a machine that is busy with other things


@pytest.fixture
def latent(new_page, address):
    def open_page(query="", **options):
        page = new_page(**options)
        page.goto(f"{address}/?tab=generate&model=dcgan-digits{query}")
        page.locator("#latent [role=status]").get_by_text("64 images").wait_for(state="attached", timeout=READY)
        wait_for_point(page, lambda point: True)
        return page

    return open_page


def wait_for_point(page, wanted):
    """Wait until the point of the selected image satisfies `wanted`; return it."""
    for _ in range(200):
        text = page.get_attribute(LARGE, "data-point")
        point = json.loads(text or "null")
        if point and wanted(point):
            return point
        changed = "([at, was]) => document.querySelector(at).dataset.point !== was"
        page.wait_for_function(changed, arg=[LARGE, text])
    raise AssertionError("the point was never shown")


LARGE = "#latent canvas[aria-label='The chosen image']"
PIXELS = "at => [...document.querySelector(at).getContext('2d').getImageData(0, 0, 99, 99).data].join()"


def test_a_slider_changes_the_image_and_back_restores_it(latent):
    page = latent()
    first = page.evaluate(PIXELS, LARGE)
    page.get_by_label("Principal direction 1", exact=True).fill("4")
    assert wait_for_point(page, lambda point: "moves" in point)["moves"] == {"0": 4}
    assert page.evaluate(PIXELS, LARGE) != first
    page.locator("#latent").get_by_role("button", name="Back", exact=True).click()
    wait_for_point(page, lambda point: "moves" not in point)
    assert page.evaluate(PIXELS, LARGE) == first


def test_a_tile_is_selected_by_pointer_and_keys_and_stored(latent):
    page = latent()
    gallery = page.get_by_label("Gallery of generated images")
    box = gallery.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 1.5 / 8)
    assert wait_for_point(page, lambda point: point["index"] == 10)["label"] == 0
    gallery.press("ArrowRight")
    wait_for_point(page, lambda point: point["index"] == 11)
    before = page.evaluate(PIXELS, "#latent canvas[aria-label='A, B, C and D']")
    gallery.press("b")
    page.wait_for_function(f"was => ({PIXELS})(\"#latent canvas[aria-label='A, B, C and D']\") !== was", arg=before)


def test_an_image_between_a_and_b_is_selected_and_its_link_reopens_it(latent):
    page = latent()
    strip = "#latent canvas[aria-label^='From A to B']"
    page.wait_for_function(f'() => document.querySelector("{strip}").width > 100')
    box = page.locator(strip).bounding_box()
    page.locator(strip).click(position={"x": box["width"] * 4.5 / 9, "y": box["height"] / 4})
    point = wait_for_point(page, lambda point: "mix" in point)
    assert sorted(point["mix"])[-2:] == [0.5, 0.5]  # half of A's class, half of B's
    page.locator("#latent p").get_by_text("50 % 0, 50 % 1").wait_for()
    page.locator("#latent p").get_by_text("D's score is").wait_for()
    drawn = "at => document.querySelector(at).toDataURL()"
    blended = page.evaluate(drawn, strip)
    page.get_by_label("Keep the class of A").check()
    page.wait_for_function(f"([at, was]) => ({drawn})(at) !== was", arg=[strip, blended])
    again = latent("&" + urlencode({"point": json.dumps(point)}))
    assert wait_for_point(again, lambda shown: "mix" in shown) == point


def test_class_seed_and_truncation_come_from_the_link(latent):
    page = latent("&seed=5&label=7&psi=0.5")
    command = page.locator("#latent pre")
    assert command.inner_text() == (
        "python -m ganlab generate --model dcgan-digits --n 64 --seed 5 --label 7 --psi 0.5 --out samples"
    )
    assert wait_for_point(page, lambda point: True)["label"] == 7
    seed = page.get_by_label("Seed of the gallery")
    seed.fill("-3")
    seed.press("Enter")
    page.locator("#latent [role=alert]").get_by_text("The seed -3 is not a whole number").wait_for()
    seed.fill("6")
    seed.press("Enter")
    assert wait_for_point(page, lambda point: point["seed"] == 6)["label"] == 7


def test_a_walk_plays_and_is_downloaded(latent):
    page = latent(viewport={"width": 390, "height": 844}, has_touch=True)
    walk = "#latent canvas[aria-label='A walk from A to B, C, D and back']"
    page.wait_for_function(f'() => document.querySelector("{walk}").width > 100')
    still = page.evaluate(PIXELS, walk)
    play = page.locator("#latent").get_by_role("button", name="Play", exact=True)
    play.click()
    page.wait_for_function(f'was => ({PIXELS})("{walk}") !== was', arg=still)
    play.click()
    with page.expect_download(timeout=READY) as saving:
        page.locator("#latent").get_by_role("button", name="GIF", exact=True).click()
    assert saving.value.suggested_filename == "dcgan-digits-walk.gif"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_training_runs_pauses_goes_back_and_restarts(new_page, address):
    page = new_page()
    page.goto(f"{address}/?tab=generate&room=training")
    step = "document.querySelector('#training .gl-viewer')?.dataset.step"
    page.wait_for_function(f"() => {step} === '0'", timeout=READY)
    sheet = "#training canvas[aria-label='Samples of the same noise at this step']"
    page.locator("#training pre").get_by_text("train dcgan-digits").wait_for(timeout=READY)
    first = page.evaluate(PIXELS, sheet)
    play = page.locator("#training .gl-play")
    play.click()
    page.wait_for_function(f"() => Number({step}) > 20", timeout=READY)
    page.wait_for_function(f'was => ({PIXELS})("{sheet}") !== was', arg=first)
    play.click()
    page.locator("#training").get_by_role("button", name="Play", exact=True).wait_for()
    paused_at = int(page.evaluate(step))
    page.get_by_label("Step that is shown", exact=True).press("Home")  # the unchanged sheet of step 0
    page.wait_for_function(f'was => ({PIXELS})("{sheet}") === was', arg=first)
    assert int(page.evaluate(step)) == paused_at and "--steps" not in page.locator("#training pre").inner_text()
    page.get_by_role("button", name="Continue from here").click()
    page.locator("#training").get_by_role("button", name="Pause", exact=True).click()
    page.locator("#training-kind").get_by_label("Fully connected").check()
    page.locator("#training [role=status]").get_by_text("started again from step 0: other networks").wait_for(
        timeout=READY
    )
    page.locator("#training-norm").wait_for(state="hidden")  # no effect on these networks
    page.locator("#training").get_by_role("button", name="Step", exact=True).click()
    page.wait_for_function(f"() => {step} === '1'", timeout=READY)
    page.locator("#training-labels").get_by_label("Both networks see the class").uncheck()  # restarts
    page.wait_for_function(f"() => {step} === '0'", timeout=READY)
    page.get_by_role("button", name="Training").locator("visible=true").click()
    rate = page.locator("#training-batch input")
    rate.fill("2")
    rate.press("Tab")
    page.locator("#training-alert").get_by_text("Batch is 2; give a whole number from 4 to 512").wait_for()


def test_trains_on_a_visitors_pictures(new_page, address, tmp_path):
    draw = np.random.default_rng(0)
    for k in range(17):
        Image.fromarray(draw.integers(0, 255, (32, 32), np.uint8)).save(tmp_path / f"{k}.png")
    page = new_page()
    page.goto(f"{address}/?tab=generate&room=training")
    step = "document.querySelector('#training .gl-viewer')?.dataset.step"
    page.wait_for_function(f"() => {step} === '0'", timeout=READY)
    page.locator("#training-data input").click()
    page.get_by_role("option", name="My images").click()
    files = sorted(tmp_path.iterdir())
    page.locator("#training-files input[type=file]").set_input_files(files[:3])
    page.locator("#training-alert").get_by_text("3 readable images; at least 16 are needed").wait_for(timeout=READY)
    page.locator("#training-files").get_by_label("Clear").click()
    page.locator("#training-files input[type=file]").set_input_files(files)
    page.locator("#training-preview").get_by_text("17 images").wait_for(timeout=READY)
    page.locator("#training .gl-play").click()
    page.wait_for_function(f"() => Number({step}) > 1", timeout=READY)


def test_inversion_opens_on_a_result_and_searches_for_the_chosen_image(new_page, address):
    page = new_page()
    page.goto(f"{address}/?tab=generate&room=inversion")
    page.locator("#inversion-found").get_by_text("Mean |residual|").wait_for(timeout=READY)
    page.get_by_label("Add a bright ball").check()
    page.locator("#inversion-go").click()
    page.locator("#inversion-found").get_by_text("in the ball").wait_for(timeout=READY)
    page.locator("#inversion-source").get_by_label("My image").check()
    page.locator("#inversion-go").click()
    page.locator("#inversion-alert").get_by_text("Choose a picture or a scan first").wait_for(timeout=READY)
    page.get_by_role("tab", name="How good?").click()
    page.locator("#quality").get_by_text("dcgan-digits").wait_for()


def test_on_a_phone_the_table_scrolls_under_its_first_column(new_page, address):
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{address}/?tab=generate&room=quality")
    table = page.locator("#quality .gl-scroll")
    table.get_by_text("dcgan-nodules").wait_for(timeout=READY)
    first, last = table.locator("tbody th").first, table.locator("tbody tr").first.locator("td").last
    before = first.bounding_box()["x"]
    assert last.bounding_box()["x"] > 390
    table.evaluate("element => { element.scrollLeft = 10000; }")
    assert last.bounding_box()["x"] < 360 and first.bounding_box()["x"] == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
