"""Other tasks, two models beside each other, and the Cycle page, in a real Chromium."""

from pathlib import Path

import pytest

from ganlab.checkpoints import list_models

PATIENCE = 240_000  # ms
PRETRAINED = {card["name"] for card in list_models()}
needs = {
    name: pytest.mark.skipif(name not in PRETRAINED, reason=f"there is no pretrained {name}")
    for name in ("t1fa-unet", "mr2ct-pix2pix", "ct2mr-unet")
}


def translated(viewer, query, words):
    """The page of a link, once its translation is there."""
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
    page.locator("#task").get_by_label("T1 \u2192 CT").check()  # what is offered follows the task
    page.locator("#explanation").get_by_text("Hounsfield").first.wait_for()


@needs["mr2ct-pix2pix"]
def test_two_models_side_by_side(viewer):
    page = translated(viewer, "seed=9001&rival=mr2ct-pix2pix", "beside mr2ct-pix2pix")
    heads = page.locator("#metrics thead th").all_inner_texts()
    assert heads[1:5] == ["MAE, unet", "MAE, pix2pix", "Mean error, unet", "Mean error, pix2pix"]
    page.locator("#viewer label").get_by_text("All layers", exact=True).click()
    page.locator("#viewer label").get_by_text("Absolute error, pix2pix", exact=True).click()
    viewer.wait_for_status("Absolute error, pix2pix")
    with page.expect_download() as found:
        page.get_by_role("button", name="Download").click()
        page.get_by_role("link", name="CT by pix2pix").click()
    assert found.value.suggested_filename == "phantom-9001-rival-ct.nii.gz"


@needs["ct2mr-unet"]
@needs["mr2ct-pix2pix"]
def test_there_and_back_with_a_lesion(viewer, tmp_path):
    page = viewer.page
    page.goto(f"{viewer.address}/?tab=cycle")
    page.get_by_role("button", name="There and back").wait_for()
    page.get_by_role("button", name="Settings").locator("visible=true").click()
    page.get_by_label("Axial slices only").locator("visible=true").check()
    page.get_by_role("button", name="Put a lesion in").click()
    page.get_by_label("A ball in the scan").check()
    judge = page.get_by_label("Ask the discriminator")
    assert judge.is_hidden()  # an L1 model has none
    page.locator("#there input").click()
    page.get_by_role("option", name="mr2ct-pix2pix").click()
    judge.check()
    page.locator("#cycle-go").click()
    page.locator("#cycle-figures").get_by_text("Cycle error in the head").wait_for(timeout=PATIENCE)
    page.wait_for_selector("#cycle-viewer .gl-viewer[data-state=ready]")
    assert "Lesion contrast" in page.inner_text("#cycle-figures")
    assert "takes for real" in page.inner_text("#cycle-figures")
    page.locator("#cycle-viewer label").get_by_text("D of the real CT", exact=True).click()
    page.locator("#cycle-viewer [role=status]").get_by_text("D of the real CT").wait_for()
    assert page.locator("#cycle-chart svg polyline").count() == 1
    assert "Reconstructed T1" in page.inner_text("#cycle-viewer [role=status]")
    page.get_by_role("button", name="Download").locator("visible=true").click()
    with page.expect_download() as found:
        page.get_by_role("link", name="Reconstructed T1").click()
    found.value.save_as(tmp_path / "t1.nii.gz")
    assert Path(tmp_path / "t1.nii.gz").stat().st_size > 10_000
