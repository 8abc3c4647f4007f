"""The Live GAN page in a browser."""

import re

import pytest

SMALL = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LEARNED = 120_000  # ms to learn the ring, on a machine that is busy with other things


class Toy:
    def __init__(self, page, address):
        self.page, self.address = page, address

    def open(self, query=""):
        self.page.goto(f"{self.address}/?tab=toy{query}")
        self.wait_for("step 0")
        return self

    @property
    def status(self):
        return self.page.inner_text("#toy [role=status]")

    @property
    def alert(self):
        return self.page.locator("#toy [role=alert]")

    def wait_for(self, pattern, timeout=30_000):
        self.page.wait_for_function(
            "pattern => new RegExp(pattern).test(document.querySelector('#toy [role=status]')?.textContent ?? '')",
            arg=pattern,
            timeout=timeout,
        )

    def press(self, name):
        self.page.locator("#toy").get_by_role("button", name=name, exact=True).click()

    def step_shown(self):
        return int(re.search(r"step ([\d,]+)", self.page.inner_text("#toy .gl-toy-step"))[1].replace(",", ""))

    def choose(self, elem_id, option):
        self.page.locator(f"#{elem_id} input").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def painted(self):
        """Number of colours on the canvas."""
        return self.page.evaluate(
            """() => {
                const canvas = document.querySelector('#toy .gl-toy-canvas');
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                return new Set(new Uint32Array(data.buffer)).size;
            }"""
        )


@pytest.fixture
def new_toy(new_page, address):
    return lambda **options: Toy(new_page(**options), address)


@pytest.fixture
def toy(new_toy):
    return new_toy()


def test_a_ring_is_learned_and_the_slider_shows_earlier_steps(toy):
    toy.open()
    toy.press("Play")
    toy.wait_for("8 of 8 modes", LEARNED)
    toy.press("Pause")
    toy.page.get_by_role("button", name="Play", exact=True).wait_for()
    for name, file in (("Script", "gan.py"), ("GIF", "gan.gif"), ("PNG", "gan.png")):
        with toy.page.expect_download() as download:
            toy.press(name)
        assert download.value.suggested_filename == file
    at = toy.step_shown()
    assert at > 20
    toy.press("Step")
    toy.wait_for(f"step {at + 1:,} ")
    toy.page.locator("#toy input[type=range]").fill("0")
    toy.wait_for("step 0 .*0 of 8")
    assert f"of {at + 1:,}" in toy.page.inner_text("#toy .gl-toy-step")  # later steps are still available
    toy.press("Step")  # and now they have been replaced
    toy.wait_for("step 1 ")
    assert toy.page.get_attribute("#toy input[type=range]", "max") == "1"


def test_every_layer_is_drawn(toy):
    toy.open()
    toy.press("Step")
    toy.wait_for("step 1 ")
    colours = toy.painted()
    for name in ("D \N{MINUS SIGN} D*", "G's gradient", "Arrows", "Noise grid"):
        toy.press(name)
    toy.page.hover("#toy .gl-toy-canvas", position={"x": 200, "y": 200})
    toy.page.wait_for_function("() => [...document.querySelectorAll('#toy button[aria-pressed=true]')].length >= 7")
    assert colours > 50
    assert toy.painted() > 50


def test_lessons_twins_and_eight_seeds(toy):
    toy.open()
    toy.choose("toy-lesson", "The vanishing gradient")
    toy.wait_for(r"Minimax \(saturating\): step 0 .*\| Non-saturating: step 0")
    assert "log(1 - D)" in toy.page.inner_text("#toy-taught")
    toy.press("Step")
    toy.wait_for("step 1 ")
    toy.page.locator("#toy-view").get_by_label("Eight seeds").check()
    toy.wait_for(r"step 0 · (\d, ){7}\d of 8 modes")


def test_a_link_reopens_the_lesson_and_the_run(new_toy):
    first = new_toy().open("&lesson=labels-help")
    assert "no labels: step 0" in first.status
    first.press("Step")
    first.wait_for("step 1 ")
    first.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    first.press("Copy link")
    first.alert.wait_for()
    link = first.alert.inner_text()
    again = new_toy().open(link[link.index("&toy=") :])
    assert "no labels: step 0" in again.status
    again.press("Step")
    again.wait_for("step 1 ")
    assert again.status == first.status


def test_a_damaged_link_is_reported_and_the_page_works(toy):
    toy.open("&toy=eJyrVkpPzE0tVrIFAA")
    assert "The link is damaged" in toy.page.inner_text("#toy-alert")
    toy.press("Step")
    toy.wait_for("step 1 ")


def test_drawn_data(toy):
    toy.open()
    toy.press("Draw data")
    toy.press("Use drawing")
    toy.page.get_by_text(re.compile("The drawing has 0 points|The drawing has points of shape")).wait_for()
    toy.press("Draw data")
    box = toy.page.locator("#toy .gl-toy-canvas").bounding_box()
    mouse = toy.page.mouse
    mouse.move(box["x"] + 100, box["y"] + 100)
    mouse.down()
    mouse.move(box["x"] + 300, box["y"] + 200, steps=20)
    mouse.up()
    toy.press("Use drawing")
    toy.page.wait_for_function("() => document.querySelector('#toy-data input').value === 'Your own'")
    toy.press("Step")
    toy.wait_for("step 1 .*JS")
    assert "modes" not in toy.status


def test_own_files(toy, tmp_path):
    toy.open()
    table = tmp_path / "points.csv"
    table.write_text("x,y\n" + "\n".join(f"{i % 7},{i % 5}" for i in range(60)))
    words = tmp_path / "words.csv"
    words.write_text("1,2\nfour,five\n")

    def open_file(path):
        with toy.page.expect_file_chooser() as chosen:
            toy.page.get_by_role("button", name="Open file").click()
        chosen.value.set_files(path)

    open_file(words)
    toy.page.get_by_text('Line 2 of "words.csv" is "four, five"').wait_for()
    open_file(table)
    toy.page.wait_for_function("() => document.querySelector('#toy-data input').value === 'Your own'")
    toy.press("Step")
    toy.wait_for("step 1 ")
    with toy.page.expect_download() as saved:
        toy.press("Save run")
    run = tmp_path / "run.safetensors"
    saved.value.save_as(run)
    toy.choose("toy-data", "Ring of eight")
    toy.wait_for("step 0 .*modes")
    open_file(run)
    toy.wait_for("step 1 ")
    toy.press("Script")
    toy.page.get_by_text("A script cannot contain uploaded data").wait_for()
    toy.press("Copy link")
    toy.page.get_by_text("A link cannot contain uploaded data").wait_for()


def test_divergence_is_reported_and_can_be_undone(toy):
    toy.open()
    toy.page.get_by_role("button", name="Training").click()
    rate = toy.page.locator("#toy-rate_g input")
    rate.fill("1000000000")
    rate.press("Enter")
    toy.page.get_by_text("Learning rate of G is 1000000000").wait_for()
    toy.choose("toy-optimiser", "SGD")
    for name in ("g", "d"):
        toy.page.locator(f"#toy-rate_{name} input").fill("1")
        toy.page.locator(f"#toy-rate_{name} input").press("Enter")
    toy.choose("toy-objective", "Least squares")
    toy.press("Play")
    toy.page.get_by_text("The training diverged before step").wait_for(timeout=LEARNED)
    toy.page.locator("#toy input[type=range]").fill("0")
    toy.wait_for("step 0 ")


def test_two_parameter_games(new_page, address):
    page = new_page()
    page.goto(f"{address}/?tab=toy&room=games")
    status = page.locator("#games [role=status]")
    page.wait_for_function("() => document.querySelector('#games [role=status]')?.textContent.length > 9")
    assert "simultaneous spirals out; alternating circles; extragradient converges" in status.inner_text()
    page.get_by_label("Dirac-GAN").check()
    page.locator("#games-r1 input[type=number]").fill("0.5")
    page.locator("#games-r1 input[type=number]").press("Enter")
    page.wait_for_function(
        "() => document.querySelector('#games [role=status]').textContent.startsWith('simultaneous converges')"
    )


def test_densities_can_be_dragged(new_page, address):
    page = new_page()
    page.goto(f"{address}/?tab=toy&room=divergences")
    status = page.locator("#densities [role=status]")
    page.wait_for_function("() => document.querySelector('#densities [role=status]')?.textContent.length > 9")
    before = status.inner_text()
    assert re.fullmatch(r"KL\(p, q\) [\d.]+, KL\(q, p\) [\d.]+, JS 0\.\d+ nats\.", before)
    page.focus("#densities canvas")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("b => document.querySelector('#densities [role=status]').textContent !== b", arg=before)
    page.get_by_label("bits").check()
    page.wait_for_function("() => document.querySelector('#densities [role=status]').textContent.endsWith('bits.')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(new_toy, scheme):
    toy = new_toy(**SMALL, color_scheme=scheme).open()
    toy.press("Step")
    toy.wait_for("step 1 ")
    assert toy.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    play = toy.page.get_by_role("button", name="Play", exact=True).bounding_box()
    assert play["y"] < 500  # within the first screen
