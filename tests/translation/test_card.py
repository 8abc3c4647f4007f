"""The cards of trained translators."""

import pytest

from ganlab.checkpoints import read_card
from ganlab.translation.card import Trained, update_card, write_new_card
from ganlab.translation.presets import PRESETS
from ganlab.translation.tasks import REVERSE


def text_of(folder):
    return (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_card_that_says_how_to_train_it_again(name, tmp_path):
    config = PRESETS[name]
    trained = Trained(config, config.steps, "cpu", 12.3)
    write_new_card(tmp_path / name, trained, 1000)
    card, text = read_card(tmp_path / name), text_of(tmp_path / name)
    assert (card["name"], card["task"], card["steps"], card["minutes"]) == (name, config.task, config.steps, 12)
    assert f"`python -m ganlab train {name}`.\n" in text and text.endswith("diagnosis, dose or treatment.\n")
    assert ("are not adversarial" in text) == bool(config.prior)
    assert ("MIND" in text) == bool(config.structure)
    assert "{{" not in text and "{%" not in text and "\n\n\n" not in text


def test_the_card_of_the_backward_generator_names_the_training_it_comes_from(tmp_path):
    name = "mr2ct-cyclegan"
    write_new_card(tmp_path / name / "back", Trained(PRESETS[name], 10, "cpu", 1.0), 1000, back=True)
    card = read_card(tmp_path / name / "back")
    assert (card["name"], card["task"]) == ("ct2mr-cyclegan", REVERSE["mr2ct"])
    text = text_of(tmp_path / name / "back")
    assert f"train {name}`, whose other\ndirection this is." in text and "grey from white matter" in text


def test_a_card_of_own_volumes_says_so(tmp_path):
    write_new_card(tmp_path / "mine", Trained(PRESETS["mr2ct-unet"], 10, "cpu", 1.0, volumes=6), 1000)
    assert read_card(tmp_path / "mine")["training_data"] == "own data: 6 volumes, 60 random slices"
    text = text_of(tmp_path / "mine")
    assert "6 volumes of the user's own" in text and "phantom patients generated" not in text


def test_a_card_names_the_real_heads_of_its_training_and_their_licences(tmp_path):
    heads = ("ct_head_unc.nii.gz", "ct_head_invesalius.nii.gz", "ours.nii.gz")
    write_new_card(tmp_path / "mr2ct-unet", Trained(PRESETS["mr2ct-unet"], 10, "cpu", 1.0, heads=heads), 1000)
    data, text = read_card(tmp_path / "mr2ct-unet")["training_data"], text_of(tmp_path / "mr2ct-unet")
    for part in (data, text):
        assert "University of North Carolina" in part and "GPL-2" in part
        assert "ours.nii.gz: its source and licence are not known here" in part
    assert "phantom patients" in data and "`python -m ganlab train mr2ct-unet --anatomy CT_FOLDER`" in text
    assert "No patient's data was used" not in text and "of\n  3 CT heads." in text
    assert "{{" not in text and "{%" not in text and "\n\n\n" not in text


def test_figures_are_written_into_a_card_and_replaced(tmp_path):
    folder = tmp_path / "mine"
    write_new_card(folder, Trained(PRESETS["mr2ct-unet"], 10, "cpu", 1.0), 1000)
    (folder / "model.safetensors").touch()
    for mae in (40.0, 30.0):
        figures = {"mae": mae}
        update_card(str(folder), {"patients": {9000: figures}, "mean": figures, "sd": {"mae": 1.0}})
    assert read_card(folder)["metrics"]["mean"] == {"mae": 30.0}
    text = text_of(folder)
    assert text.count("| patient | MAE (HU) |") == 1 and "| 9000 | 30.0 |" in text and "40.0" not in text
    assert text.index("## Held-out") < text.index("| 9000 |") < text.index("## Limits")
