"""Other tasks, two models side by side, and the Cycle page, in a real Chromium."""

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from ganlab.checkpoints import list_models

PATIENCE = 240_000  # ms
PRETRAINED = {card["name"] for card in list_models()}
needs = {
    name: pytest.mark.skipif(name not in PRETRAINED, reason=f"there is no pretrained {name}")
    for name in ("t1fa-unet", "mr2ct-pix2pix", "ct2mr-unet")
}


def translated(viewer, query, words):
    """Open a link and wait for its translation."""
    viewer.page.goto(f"{viewer.address}/?tab=translate&planes=axial&{query}")
    headline = viewer.page.locator("#headline").get_by_text(words)
    headline.wait_for(timeout=PATIENCE)
    viewer.page.wait_for_selector("#viewer .gl-viewer[data-state=ready]")
    return viewer.page


@needs["t1fa-unet"]
def test_t1_to_fa_has_its_own_scale_and_words(viewer):
    page = translated(viewer, "task=t1fa&seed=9001", "synthetic FA by t1fa-unet")
    viewer.wait_for_status("Synthetic FA")
    assert "Reference FA" in viewer.status and "HU" not in viewer.status
    assert page.get_by_role("button", name="Soft tissue").is_hidden()  # windows of CT
    assert "Correlation" in page.inner_text("#metrics") and "Whole brain" in page.inner_text("#metrics")
    assert "Fractional anisotropy".lower() in page.inner_text("#explanation").lower()
    page.get_by_role("button", name="How it was made").locator("visible=true").click()
    assert "--task t1fa" in page.locator("#made pre").text_content()
    page.locator("#task").get_by_label("T1 \u2192 CT").check()  # the choices depend on the task
    page.locator("#explanation").get_by_text("Hounsfield").first.wait_for()


@needs["mr2ct-pix2pix"]
def test_two_models_side_by_side(viewer):
    page = translated(viewer, "seed=9001&rival=mr2ct-pix2pix", "beside mr2ct-pix2pix")
    heads = page.locator("#metrics thead th").all_inner_texts()
    assert heads[1:5] == ["MAE, unet", "MAE, pix2pix", "Mean error, unet", "Mean error, pix2pix"]
    page.locator("#viewer label").get_by_text("All layers", exact=True).click()
    layers = page.locator("#viewer").get_by_role("group", name="Layer")
    assert layers.get_by_role("group").count() == 2, "one for each model, after the real scans"
    layers.get_by_role("group", name="pix2pix").get_by_text("Absolute error").click()
    viewer.wait_for_status("Absolute error, pix2pix")
    with page.expect_download() as download:
        page.get_by_role("link", name="CT by pix2pix, NIfTI").click()
    assert download.value.suggested_filename == "phantom-9001-rival-ct.nii.gz"


def ready(page):
    page.wait_for_selector("#cycle-viewer .gl-viewer[data-state=ready]")
    return page.locator("#cycle-viewer [role=status]")


def test_the_cycle_page_opens_on_a_finished_cycle(viewer):
    page = viewer.page
    page.goto(f"{viewer.address}/?tab=cycle")
    status = ready(page)
    assert "mr2ct-cyclegan and ct2mr-cyclegan" in page.inner_text("#cycle-title")
    assert page.get_by_label("Ask the discriminator").is_checked()
    assert "Is the lesion preserved?" in page.inner_text("#cycle-figures")
    page.locator("#cycle-viewer label").get_by_text("Relative error, %", exact=True).click()
    status.get_by_text("Relative error, %, 0 to 30 %").wait_for()
    mark, words = page.locator("#cycle-chart line.gl-here"), page.locator("#cycle-chart text.gl-here")
    slice_was, before = words.text_content(), mark.get_attribute("transform")
    assert slice_was.startswith("Slice ") and slice_was.lower() in page.inner_text("#cycle-viewer .gl-readout")
    page.locator("#cycle-viewer canvas.gl-canvas").focus()
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "was => document.querySelector('#cycle-chart text.gl-here').textContent !== was", arg=slice_was
    )
    assert mark.get_attribute("transform") != before
    page.get_by_label("CT \u2192 T1 \u2192 CT").check()  # the same two models, the other way round
    page.wait_for_function("document.querySelector('#there input').value === 'ct2mr-cyclegan'")
    assert page.input_value("#back input") == "mr2ct-cyclegan"
    page.get_by_role("button", name="The lesion").click()
    page.get_by_label("Added HU").wait_for()
    assert page.get_by_label("Added HU").input_value() == "30"
    page.locator("#back input").click()
    page.get_by_role("option", name="mr2ct-unet").click()
    page.locator("#cycle-mixed").get_by_text("were not trained together").wait_for()


@needs["ct2mr-unet"]
@needs["mr2ct-pix2pix"]
def test_a_link_runs_a_cycle_with_a_lesion(viewer, tmp_path):
    """A link asks for another patient, the other direction and a mixed pair; the page's own link reopens the result."""
    page = viewer.page
    query = "tab=cycle&task=ct2mr&seed=9123&model=ct2mr-pix2pix&back=mr2ct-unet&spacing=4&planes=axial"
    more = "&lesion=26,-30,32,12,30&judge=1"
    page.goto(f"{viewer.address}/?{query}{more}")
    page.locator("#cycle-title").get_by_text("Phantom patient 9123").wait_for(timeout=PATIENCE)
    ready(page).get_by_text("Phantom patient 9123").wait_for()
    figures = page.inner_text("#cycle-figures")
    assert "+30.0 HU" in figures and "1 is real" in figures
    assert "were not trained together" in page.inner_text("#cycle-notices")
    page.locator("#cycle-viewer label").get_by_text("D of the real T1", exact=True).click()
    page.locator("#cycle-viewer [role=status]").get_by_text("D of the real T1").wait_for()
    assert page.locator("#cycle-chart svg polyline").count() == 1
    page.get_by_role("button", name="How it was made").locator("visible=true").click()
    link = page.get_by_role("link", name="Link to this cycle").get_attribute("href")
    assert dict(parse_qsl(link[1:])) == dict(parse_qsl(query + more))
    assert "--lesion 26,-30,32,12,30 --judge" in page.locator("#cycle-made pre").text_content()
    with page.expect_download() as download:
        page.get_by_role("link", name="Relative error, %, NIfTI").click()
    download.value.save_as(tmp_path / "share.nii.gz")
    assert Path(tmp_path / "share.nii.gz").stat().st_size > 10_000
