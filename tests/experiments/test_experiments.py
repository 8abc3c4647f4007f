import dataclasses
import json
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch

from ganlab import experiments
from ganlab.errors import InputError
from ganlab.experiments import alignment, arms, generators, hallucination
from ganlab.phantoms import make_patient
from ganlab.translation.cycle.cycle import Cycle
from ganlab.translation.networks import PatchGANConfig, UNetConfig

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(monkeypatch):
    """Tiny networks; one or two held-out patients instead of six and twenty-four."""
    monkeypatch.setattr(hallucination, "PLAIN", UNetConfig(widths=(2, 4), patch=1))
    for module in (arms, alignment, hallucination):
        monkeypatch.setattr(module, "NETWORK", UNetConfig(widths=(2, 4), patch=1))
        monkeypatch.setattr(module, "DISCRIMINATOR", PatchGANConfig(width=4, layers=1))
    monkeypatch.setattr(alignment, "HELD_OUT", (9000, 9001))
    monkeypatch.setattr(hallucination, "PATIENTS", (9000, 9001))
    monkeypatch.setattr(hallucination, "SHELF", 4)


def balls(seed, size=64):
    """Endless slices with a disc on them: enough to train on for a step."""
    draw = torch.Generator().manual_seed(seed)
    at = torch.arange(size) - size / 2
    while True:
        radius = 10 + 15 * torch.rand((), generator=draw)
        disc = (at[:, None] ** 2 + at**2 < radius**2).float()[None]
        yield disc, disc - 1


def run(module, out, steps=2):
    """Train all arms as the command line does, with tiny slices that cost nothing."""
    chosen = {
        name: dataclasses.replace(arm, config=dataclasses.replace(arm.config, batch=1, size=32), make=balls)
        for name, arm in module.arms(steps).items()
    }
    return [(title, list(events)) for title, events in arms.trainings(chosen, out, "cpu", workers=0)]


@pytest.mark.parametrize("name", ["paired-vs-unpaired", "hallucination"])
def test_an_experiment_trains_and_measures_all_arms_and_resumes(name, tmp_path, tiny, monkeypatch):
    module = experiments.get_experiment(name)
    if module is alignment:  # volumes of 4 mm are enough for a smoke test
        monkeypatch.setattr(module, "make_patient", lambda seed, kinds, spacing: make_patient(seed, kinds, 4.0))
        monkeypatch.setattr(module, "SHOWN", 9001)
        monkeypatch.setattr(module, "translate", partial(module.translate, planes=("axial",)))
    events = run(module, tmp_path)
    result = module.measure(2, tmp_path, "cpu")
    assert [title for title, _ in events] == [arm["title"] for arm in result["arms"].values()]
    assert all(sum(e.kind == "step" for e in of) == 2 for _, of in events)
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    text = (tmp_path / "result.md").read_text()
    assert text.strip() == module.format_result(result) and all(arm["title"] in text for arm in result["arms"].values())
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    if module is alignment:
        assert "skull shift" in (tmp_path / "cycles.md").read_text()
    assert not any(e.kind == "step" for _, of in run(module, tmp_path) for e in of)


def test_arms_differ_in_one_thing():
    result = alignment.arms(7)
    assert result["aligned"].config == result["misaligned"].config
    assert dataclasses.replace(result["unpaired"].config, structure=5.0) == result["unpaired-structure"].config
    common = ("network", "steps", "batch", "size", "spacing", "seed")
    assert len({json.dumps([dataclasses.asdict(a.config)[k] for k in common]) for a in result.values()}) == 1
    sick = hallucination.arms(7)
    assert sick["one-sided"].config == sick["balanced"].config


def test_generators_are_compared_over_seeds(tmp_path, monkeypatch):
    measured, evaluate = {}, generators.evaluate_generator

    def once(folder, device, count):
        """Measures the first run of each network and derives worse figures for the others, to save time."""
        kind, _, run = folder.rpartition("-")
        if kind not in measured:
            measured[kind] = evaluate(folder, device, count)
        quality = measured[kind]
        return quality | {"generated": quality["generated"] | {"fid": quality["generated"]["fid"] + int(run)}}

    monkeypatch.setattr(generators, "evaluate_generator", once)
    two = {name: generators.NETWORKS[name] for name in ("fc", "conditional")}
    monkeypatch.setattr(generators, "NETWORKS", two)
    monkeypatch.setattr(generators, "SEEDS", 2)
    monkeypatch.setattr(generators, "COUNT", 40)
    trained = generators.arms(2, seed=5)
    assert {arm.config.seed for arm in trained.values()} == {5, 6}
    configs = [dataclasses.asdict(arm.config) | {"network": 0, "seed": 0} for arm in trained.values()]
    assert len({json.dumps(config) for config in configs}) == 1
    for _, events in arms.trainings(trained, tmp_path, "cpu"):
        assert sum(event.kind == "step" for event in events) == 2
    result = generators.measure(2, tmp_path, "cpu")
    known = result["networks"]
    assert [len(network["runs"]) for network in known.values()] == [2, 2]
    assert "classifier" in known["conditional"]["summary"] and "classifier" not in known["fc"]["summary"]
    runs = [run["fid"] for run in known["fc"]["runs"].values()]
    assert runs[1] == pytest.approx(runs[0] + 1) and known["fc"]["summary"]["fid"][0] == pytest.approx(
        sum(runs) / 2, rel=1e-3
    )
    text = (tmp_path / "result.md").read_text()
    assert text.strip() == generators.format_result(result) and "other real images" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_refuses_an_unknown_experiment():
    with pytest.raises(InputError, match="hallucination"):
        experiments.get_experiment("turing")


def test_tumours_appear_in_the_chosen_share_of_slices():
    """Brighter on FLAIR than any brain tissue, on all slices or on none; scalp is brighter, so look inside."""

    def brightest(share):
        slices = islice(hallucination.tumour_slices(3, 224, share), 0, 16, 8)
        return [np.quantile(flair[0, 82:142, 72:152], 0.999) for _, flair in slices]

    assert min(brightest((0.0, 1.0))) > 1.2 > max(brightest((1.0, 0.0)))


def test_vanished_and_added_lesions_are_counted():
    true, brain = np.full((40, 40), 1.0, np.float32), np.ones((40, 40), bool)
    lesion = np.zeros_like(brain)
    lesion[10:20, 10:20] = True
    white = ~lesion
    ill = np.where(lesion, 1.6, true)
    assert hallucination.lesion_kept(ill, ill, lesion, white) == pytest.approx(1)
    assert hallucination.lesion_kept(true, ill, lesion, white) == pytest.approx(0)
    added = hallucination.lesion_added(ill, true, brain, 1)
    assert added == pytest.approx(100 * hallucination.PIXEL**2, rel=0.25)
    assert hallucination.lesion_added(ill, true, brain, -1) == 0 == hallucination.lesion_added(true, true, brain, 1)


def test_misaligned_slices_differ_in_the_neck_more_than_in_the_vault():
    from ganlab.phantoms.pairs import pairs

    def mean_difference(**how):
        """Difference of the CT between an unmoved patient and one from the same stream and seed."""
        stream = pairs(5, size=96, task="ct2mr", reuse=1, **how)
        return torch.stack([target for _, target in islice(stream, 6)])

    still, moved = mean_difference(), mean_difference(misalign=8.0)
    assert still.shape == moved.shape and not torch.equal(still, moved)


def test_cycles_are_drawn_and_tabulated(tmp_path, monkeypatch):
    """A translator with an offset of 50 HU, and a backward model that removes it."""
    patient = make_patient(9001, ("t1", "ct"), 4.0)
    mask = patient["ct"].array > -500
    t1 = dataclasses.replace(patient["t1"], array=patient["t1"].array / 1000)
    synthetic = dataclasses.replace(patient["ct"], array=patient["ct"].array + 50)
    cycle = Cycle("mr2ct", ("there", "back"), t1, synthetic, t1, mask)
    monkeypatch.setattr(alignment, "run_cycle", lambda *args, **how: cycle)
    monkeypatch.setattr(alignment, "make_patient", lambda *args: patient)
    monkeypatch.setattr(alignment, "SHOWN", 9001)
    (tmp_path / "unpaired" / "back").mkdir(parents=True)
    figures = {9001: {"mae": 50.0, "bone": 49.6, "skull_shift": 0.12}}
    result = {"arms": {"aligned": {}, "unpaired": {"title": "CycleGAN, no pairs", "patients": figures}}}
    alignment.follow_cycles(result, tmp_path, "cpu")
    rows = (tmp_path / "cycles.md").read_text().splitlines()
    assert rows[-1] == "| CycleGAN, no pairs | 0.0 % of its range | 50 | 50 | 0.1 |" and len(rows) == 3
    assert (tmp_path / "cycles.png").read_bytes().startswith(b"\x89PNG")
