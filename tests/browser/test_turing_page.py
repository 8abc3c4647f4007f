"""The Turing test tab: a practice test by keyboard, a plan, and a report of an uploaded table."""

from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.readings import write_readings

READY = 60_000  # ms, on a busy machine
POSITION = "document.querySelector('#turing .gl-viewer')?.dataset.position"


def test_practice_test_works_by_keyboard(new_page, address):
    page = new_page()
    page.goto(f"{address}/?tab=turing")
    page.wait_for_function(f"() => {POSITION} === '0'", timeout=READY)
    page.locator("#turing").get_by_text("Image 1 of 20").wait_for()
    page.locator("#turing-count").get_by_label("10", exact=True).check()
    page.locator("#turing").get_by_text("Image 1 of 10").wait_for(timeout=READY)
    canvas = page.get_by_role("img", name="Real or synthetic?")
    canvas.focus()
    for k in range(10):
        page.wait_for_function(f"() => {POSITION} === '{k}'", timeout=READY)
        page.keyboard.press("5")
        assert page.locator("#turing input[value='5']").is_checked()
        page.keyboard.press("r" if k % 2 else "s")
    page.locator("#turing").get_by_text("of the time").wait_for(timeout=READY)
    assert page.locator("#turing figure").count() == 10
    page.get_by_role("button", name="New set").click()
    page.locator("#turing").get_by_text("Image 1 of 10").wait_for(timeout=READY)


def test_phone_shows_the_test_without_horizontal_scrolling(new_page, address):
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(f"{address}/?tab=turing")
    page.wait_for_function(f"() => {POSITION} === '0'", timeout=READY)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_plan_and_report_open_filled_and_update(new_page, address, tmp_path):
    page = new_page()
    page.goto(f"{address}/?tab=turing&room=plan")
    page.locator("#plan").get_by_text("4 readers, 60 images").wait_for(timeout=READY)
    readers = page.locator("#plan-readers input[type=number]")
    readers.fill("9")
    readers.press("Tab")
    page.locator("#plan").get_by_text("9 readers, 60 images").wait_for(timeout=READY)
    page.get_by_role("tab", name="Report").click()
    page.frame_locator("#report iframe").get_by_role("heading", name="Simulated readers").wait_for(timeout=READY)
    table = tmp_path / "readings.csv"
    table.write_text("reader,case\n", encoding="utf-8")
    page.locator("#report-file input[type=file]").set_input_files(table)
    page.locator("#report-alert").get_by_text("no column truth").wait_for(timeout=READY)
    write_readings(simulate(SimulatedStudy(3, 40, dprime=2.0)), table)
    page.locator("#report-file").get_by_label("Clear").click()
    page.locator("#report-file input[type=file]").set_input_files(table)
    report = page.frame_locator("#report iframe")
    report.get_by_text("3 readers, 40 images").wait_for(timeout=READY)
    with page.expect_download() as saved:
        page.get_by_text("Save the report").click()
    assert "3 readers, 40 images" in saved.value.path().read_text(encoding="utf-8")
