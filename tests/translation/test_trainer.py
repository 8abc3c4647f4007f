import dataclasses
import itertools
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from ganlab.checkpoints import has_discriminator, load_tensors, read_card, save_tensors
from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import slices as phantom_slices
from ganlab.translation.batches import epoch_batches, filled, slice_maker
from ganlab.translation.dataset.folders import Folders
from ganlab.translation.inference import fuse, load_model
from ganlab.translation.methods import METHODS
from ganlab.translation.networks import PatchGANConfig, ResNetConfig, UNet, UNetConfig
from ganlab.translation.presets import PRESETS
from ganlab.translation.trainer import freeze_statistics, train
from ganlab.translation.training_config import TrainingConfig
from ganlab.translation.warm_start import FILES, start_from

pytestmark = pytest.mark.slow

TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), steps=4, batch=2, size=32, epoch=2)


D = PatchGANConfig(width=4, layers=1)
TINIES = {
    "l1": TINY,
    "fa": dataclasses.replace(TINY, task="t1fa"),
    "ct2mr": dataclasses.replace(TINY, task="ct2mr"),
    "pix2pix": dataclasses.replace(TINY, method="pix2pix", discriminator=dataclasses.replace(D, channels=2)),
    "cyclegan": dataclasses.replace(TINY, method="cyclegan", discriminator=D, pool=3, structure=1.0, identity=1.0),
    "known": dataclasses.replace(TINY, method="cyclegan", discriminator=D, prior=2, known=1.0),  # cut before the game
    "known fa": dataclasses.replace(TINY, task="t1fa", method="cyclegan", discriminator=D, prior=1, known=1.0),
    "resnet": dataclasses.replace(TINY, network=ResNetConfig(width=4, blocks=1)),
}


def losses(config, out, resume=False, data=None):
    return [e.numbers for e in train(config, out, "cpu", resume, workers=0, data=data) if e.kind == "step"]


@pytest.mark.parametrize("kind", TINIES)
def test_a_resumed_training_has_the_losses_of_an_uninterrupted_one(tmp_path, kind):
    config = TINIES[kind]
    whole = losses(config, tmp_path / "whole")
    assert len(whole) == 4 and all(math.isfinite(v) for numbers in whole for v in numbers.values())
    events = train(config, tmp_path / "cut", "cpu", workers=0)
    for event in events:
        if event.kind == "checkpoint":
            break
    events.close()
    assert losses(config, tmp_path / "cut", resume=True) == whole[2:]
    whole_files = (tmp_path / "whole").rglob("*.safetensors")
    files = {str(f.relative_to(tmp_path / "whole")) for f in whole_files} - {"state.safetensors"}
    assert ("back/model.safetensors" in files) == (config.method == "cyclegan")
    for file in files:
        a, b = (load_tensors(tmp_path / d / file)[0] for d in ("whole", "cut"))
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert read_card(tmp_path / "whole")["task"] == config.task


@pytest.mark.parametrize("workers", [0, 1])
def test_slices_are_drawn_in_float32_where_training_uses_bfloat16(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})

    def make(seed):
        while True:
            product = torch.ones(64, 64) @ torch.full((64, 64), 1 / 3)  # bfloat16 would differ by 0.1 %
            assert product.dtype == torch.float32
            yield product[None] / 64, product[None] / 64

    events = train(dataclasses.replace(TINY, steps=2), tmp_path, "cpu", workers=workers, make=make)
    assert sum(event.kind == "step" for event in events) == 2


def test_refuses_to_overwrite_a_training_or_to_resume_it_with_other_settings(tmp_path):
    losses(dataclasses.replace(TINY, steps=2), tmp_path)
    with pytest.raises(InputError, match="--resume"):
        losses(TINY, tmp_path)
    with pytest.raises(InputError, match="batch"):
        losses(dataclasses.replace(TINY, batch=3), tmp_path, resume=True)
    with pytest.raises(InputError, match=r"no training to resume in .*nothing"):
        losses(TINY, tmp_path / "nothing", resume=True)


def test_checkpoints_carry_their_configuration(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3.0)}, {"k": 1})
    tensors, config = load_tensors(tmp_path / "a.safetensors")
    assert config == {"k": 1} and tensors["x"].tolist() == [0, 1, 2]
    (tmp_path / "b.safetensors").write_bytes(b"nonsense")
    for name in ("b", "missing"):
        with pytest.raises(InputError):
            load_tensors(tmp_path / f"{name}.safetensors")


def test_frozen_statistics_do_not_change_while_weights_learn():
    net = UNet(UNetConfig(widths=(4, 6))).train()
    freeze_statistics(net)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    net(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(torch.equal(net.state_dict()[k], v) for k, v in before.items())
    assert all(p.grad is not None for p in net.parameters())


def test_a_finished_training_can_be_resumed_with_more_steps(tmp_path):
    losses(dataclasses.replace(TINY, steps=3), tmp_path / "cut")
    assert len(losses(dataclasses.replace(TINY, steps=6), tmp_path / "cut", resume=True)) == 3


OWN = {name: TINIES[name] for name in ("l1", "cyclegan")}


@pytest.fixture
def volumes(tmp_path):
    """Two folders with three small volumes each."""
    inside = np.zeros((24, 28, 20), bool)
    inside[4:20, 3:25, 4:17] = True
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    places = Folders(tmp_path / "t1", tmp_path / "ct")
    for folder, tissue, air in ((places.source, 400, 0), (places.target, 50, -1000)):
        folder.mkdir()
        for n in range(3):
            array = np.where(inside, tissue + n, air).astype(np.float32)
            array[5:8, 5 + n : 9 + n, 5:9] = 900
            write_volume(Volume(array, affine), folder / f"p{n}.nii.gz")
    return places


@pytest.mark.parametrize("kind", OWN)
def test_training_on_own_volumes_resumes_exactly_and_its_card_says_so(tmp_path, volumes, kind):
    whole = losses(OWN[kind], tmp_path / "whole", data=volumes)
    assert len(whole) == 4 and all(math.isfinite(v) for numbers in whole for v in numbers.values())
    events = train(OWN[kind], tmp_path / "cut", "cpu", workers=0, data=volumes)
    kinds = [next(events).kind for _ in range(4)]
    assert kinds == ["data", "step", "step", "checkpoint"] and (tmp_path / "cut" / "preview.png").is_file()
    next(events)  # a step after the checkpoint is lost
    events.close()
    assert losses(OWN[kind], tmp_path / "cut", resume=True, data=volumes) == whole[2:]
    assert read_card(tmp_path / "cut")["training_data"] == "own data: 6 volumes, 8 random slices"
    text = (tmp_path / "cut" / "card.md").read_text()
    assert "phantom patients generated" not in text and "6 volumes of the user's own" in text
    assert "p0.nii.gz" not in (tmp_path / "cut" / "model.safetensors").read_bytes().decode("latin1")


def test_a_killed_training_resumes_from_its_last_checkpoint(tmp_path, volumes):
    whole = losses(TINY, tmp_path / "whole", data=volumes)
    script = f"""
import os, signal
from pathlib import Path
from ganlab.translation.dataset.folders import Folders
from ganlab.translation.methods import METHODS
from ganlab.translation.training_config import TrainingConfig
from ganlab.translation.networks import PatchGANConfig, UNetConfig
from ganlab.translation.trainer import train
data = Folders(Path({str(volumes.source)!r}), Path({str(volumes.target)!r}))
for event in train({TINY!r}, Path({str(tmp_path / "cut")!r}), "cpu", workers=0, data=data):
    if event.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert losses(TINY, tmp_path / "cut", resume=True, data=volumes) == whole[2:]


def test_refuses_to_resume_with_other_volumes(tmp_path, volumes):
    short = dataclasses.replace(TINY, steps=2)
    losses(short, tmp_path / "own", data=volumes)
    losses(short, tmp_path / "phantoms")
    with pytest.raises(InputError, match=r"on your own data; add --source .*t1. --target .*ct"):
        losses(TINY, tmp_path / "own", resume=True)
    with pytest.raises(InputError, match="was on phantoms; leave"):
        losses(TINY, tmp_path / "phantoms", resume=True, data=volumes)
    moved = Folders(volumes.source.rename(tmp_path / "moved"), volumes.target)
    assert len(losses(TINY, tmp_path / "own", resume=True, data=moved)) == 2
    write_volume(read_volume(volumes.target / "p1.nii.gz"), volumes.target / "p2.nii.gz")
    with pytest.raises(InputError, match=r"other volumes as its target .*p2.nii.gz"):
        losses(TINY, tmp_path / "own", resume=True, data=moved)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("I/O error: No space left")])
def test_a_full_disk_leaves_the_old_checkpoint_intact(tmp_path, monkeypatch, error):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.arange(3.0)}, {"k": 1})

    def full(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(
        InputError, match=r"a.safetensors\" cannot be written .*No space left.*previous file is unchanged"
    ) as raised:
        save_tensors(path, {"x": torch.zeros(3)}, {"k": 2})
    assert "\n" not in str(raised.value)
    assert [f.name for f in tmp_path.iterdir()] == [path.name]
    assert load_tensors(path)[0]["x"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="cannot be written"):
        save_tensors(path / "below" / "b.safetensors", {}, {})


def test_refuses_pickled_checkpoints(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "model.pt")
    for suffix in (".pt", ".pth", ".ckpt", ".PT"):
        with pytest.raises(InputError, match="which can run any code"):
            load_tensors(tmp_path / f"model{suffix}")
    with pytest.raises(InputError, match="which can run any code"):
        load_model(str(tmp_path / "model.pt"), "cpu")


def small_model(folder, **network):
    net = UNet(UNetConfig(widths=(4, 6)))
    config = {"network": {"channels": 1, "widths": [4, 6], "patch": 2} | network}
    save_tensors(folder / "model.safetensors", net.state_dict(), config)
    return folder / "model.safetensors"


@pytest.mark.parametrize(
    "network", [{"widths": [4, 8]}, {"widths": [4]}, {"widths": [10**9, 10**9]}, {"widths": 3}, {"colour": 1}]
)
def test_refuses_weights_of_another_architecture(tmp_path, network):
    small_model(tmp_path, **network)
    with pytest.raises(InputError) as raised:
        load_model(str(tmp_path), "cpu")
    assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


def test_refuses_a_damaged_model(tmp_path):
    path = small_model(tmp_path)
    whole = path.read_bytes()
    cuts = [b"", whole[:4], whole[:200], whole[:-10], b"\xff" * 8 + whole[8:], whole.replace(b"F32", b"F64", 1)]
    cuts += [whole.replace(b'\\"channels\\"', b"\\'channels\\'", 1), whole.replace(b'"network', b'"netvork', 1)]
    cuts += [whole.replace(rb"\"network", rb"\"netvork", 1), whole.replace(b"data_offsets", b"data_0ffsets", 1)]
    for n, broken in enumerate(cuts):
        if broken == whole:
            continue
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(broken)
        with pytest.raises(InputError) as raised:
            load_model(str(folder), "cpu")
        assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


def test_refuses_weights_that_are_nan(tmp_path):
    path = small_model(tmp_path)
    tensors, config = load_tensors(path)
    name = next(k for k, v in tensors.items() if v.is_floating_point())
    tensors[name].view(-1)[-1] = math.nan
    save_tensors(path, tensors, config)
    with pytest.raises(InputError, match=f'model.safetensors" holds NaN or infinite values in the tensor "{name}"'):
        load_model(str(tmp_path), "cpu")


def test_refuses_to_resume_from_a_foreign_state(tmp_path):
    losses(dataclasses.replace(TINY, steps=2), tmp_path)
    tensors, meta = load_tensors(tmp_path / "state.safetensors")
    spoilt = {
        "no average": ({k: v for k, v in tensors.items() if not k.startswith("average")}, meta),
        "other weights": ({k: v[:1] if k.startswith("net") and v.dim() else v for k, v in tensors.items()}, meta),
        "no step": (tensors, {k: v for k, v in meta.items() if k != "step"}),
        "a model": load_tensors(tmp_path / "model.safetensors"),
    }
    for state in spoilt.values():
        save_tensors(tmp_path / "state.safetensors", *state)
        with pytest.raises(InputError) as raised:
            losses(TINY, tmp_path, resume=True)
        assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


def test_every_checkpoint_has_a_preview_and_tensorboard_gets_all_losses(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from ganlab.training import tensorboard

    tell, seen = tensorboard(tmp_path / "board"), []
    for event in train(TINIES["cyclegan"], tmp_path, "cpu", workers=0):
        tell(event)
        seen.append(event.kind)
    assert seen == ["step", "step", "checkpoint", "preview"] * 2
    assert (tmp_path / "progress.png").read_bytes().startswith(b"\x89PNG")
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert {"cycle", "d", "rate"} <= set(board.Tags()["scalars"]) and board.Tags()["images"] == ["progress"]
    assert [point.step for point in board.Scalars("cycle")] == [1, 2, 3, 4]


def test_the_backward_generator_is_a_model_of_its_own(tmp_path):
    losses(TINIES["cyclegan"], tmp_path / "own")
    card = read_card(tmp_path / "own" / "back")
    assert (card["name"], card["task"]) == ("ct2mr-own", "ct2mr")
    assert load_tensors(tmp_path / "own" / "back" / "model.safetensors")[1]["task"] == "ct2mr"
    assert has_discriminator(str(tmp_path / "own" / "back"))


def test_coarse_pixels_are_means_of_fine_ones(tmp_path):
    fine = torch.arange(2 * 64 * 64.0).reshape(2, 1, 64, 64)
    config = dataclasses.replace(TINY, size=32, spacing=2)
    source, target = next(epoch_batches(config, 0, "cpu", 0, lambda seed: iter([(fine[0], fine[1])] * 2)))
    assert source.shape == target.shape == (2, 1, 32, 32)
    assert source[0, 0, 0, 0] == fine[0, 0, :2, :2].mean() and target[1, 0, 31, 31] == fine[1, 0, 62:, 62:].mean()
    losses(config, tmp_path / "coarse")
    assert load_model(str(tmp_path / "coarse"), "cpu").spacing == 2


RANGED = dataclasses.replace(
    TINIES["cyclegan"], network=ResNetConfig(width=4, blocks=1), ranges=((0.0, 2.5), (-0.6, 1.4)), planes=("sagittal",)
)


def test_each_direction_has_its_own_range_and_sees_nothing_beyond_it():
    whole = slice_maker(dataclasses.replace(RANGED, ranges=None, size=64), "cpu", None)
    free = [torch.cat(side) for side in zip(*itertools.islice(whole(5), 8), strict=True)]
    assert free[1].min() < -0.9  # there is something to clip
    preset = dataclasses.replace(PRESETS["mr2ct-wolterink"], size=64, network=ResNetConfig(width=2, blocks=1))
    for config in (RANGED, preset):
        method = METHODS["cyclegan"](config, "cpu")
        make = slice_maker(dataclasses.replace(config, size=64), "cpu", None)
        images = [torch.cat(side) for side in zip(*itertools.islice(make(5), 8), strict=True)]
        for name, seen, limits in zip(("back", "generator"), images, config.ranges, strict=True):
            net = method.nets[name]
            assert (net.config.low, net.config.high) == limits
            assert limits[0] <= seen.min() and seen.max() <= limits[1] and seen.std() > 0.1
            assert net(1e3 * torch.randn(1, 1, 32, 32)).min() >= limits[0]
        assert all(torch.equal(a, b.clamp(*limits)) for a, b, limits in zip(images, free, config.ranges, strict=True))


@pytest.mark.parametrize("paired", [True, False])
def test_phantom_slices_are_of_the_chosen_planes(monkeypatch, paired):
    planes, points = set(), phantom_slices.slice_points
    monkeypatch.setattr(
        phantom_slices, "slice_points", lambda d, plane, *rest: planes.add(plane) or points(d, plane, *rest)
    )
    config = dataclasses.replace(TINIES["l1" if paired else "cyclegan"], planes=("sagittal", "coronal"))
    list(itertools.islice(slice_maker(config, "cpu", None)(5), 40))
    assert planes == {"sagittal", "coronal"}


def test_checkpoints_of_both_directions_keep_ranges_and_planes(tmp_path, monkeypatch):
    losses(RANGED, tmp_path / "own")
    for folder, source, target in (("own", (0, 2.5), (-0.6, 1.4)), ("own/back", (-0.6, 1.4), (0, 2.5))):
        model = load_model(str(tmp_path / folder), "cpu")
        assert model.source_range == source and model.planes == ("sagittal",)
        assert (model.network.config.low, model.network.config.high) == target
    monkeypatch.setattr("ganlab.translation.inference.predict", lambda net, slices, device, air: slices)
    array = np.linspace(-1, 3, 16**3, dtype=np.float32).reshape(16, 16, 16)
    shown = fuse(model, array, model.planes, "cpu", empty=0.0, air=-1.0)
    assert shown.min() >= -0.6 and shown.max() == np.float32(1.4)
    assert "sagittal slices only" in (tmp_path / "own" / "card.md").read_text()


def test_trainings_from_before_planes_and_ranges_resume(tmp_path):
    whole = losses(TINY, tmp_path / "whole")
    losses(dataclasses.replace(TINY, steps=2), tmp_path / "old")
    tensors, meta = load_tensors(tmp_path / "old" / "state.safetensors")
    meta["config"] = {k: v for k, v in meta["config"].items() if k not in ("planes", "ranges")}
    save_tensors(tmp_path / "old" / "state.safetensors", tensors, meta)
    with pytest.raises(InputError, match="had another configuration"):
        losses(dataclasses.replace(TINY, planes=("axial",)), tmp_path / "old", resume=True)
    assert len(losses(TINY, tmp_path / "old", resume=True)) == len(whole[2:])


def test_unpaired_slices_can_be_required_to_show_the_head():
    head, air = torch.ones(1, 32, 32), torch.full((1, 32, 32), -1.0)
    given = [(head, head), (head, air), (air, head), (head * 0.5, head)]
    kept = list(filled(0, lambda seed: iter(given), 0.12, (0.15, -0.5)))
    assert len(kept) == 2 and kept[1] is given[3]


def test_a_training_can_start_from_all_networks_of_an_earlier_one(tmp_path):
    first = dataclasses.replace(TINIES["cyclegan"], steps=2)
    losses(first, tmp_path / "first")
    second = dataclasses.replace(first, start=str(tmp_path / "first"), steps=2)
    method = METHODS["cyclegan"](second, "cpu")
    start_from(second, method)
    for name, file in FILES.items():
        if name != "generator":
            tensors, _ = load_tensors(tmp_path / "first" / file)
            state = method.nets[name].state_dict()
            assert all(state[key].equal(value) for key, value in tensors.items())
    other = dataclasses.replace(second, discriminator=dataclasses.replace(D, width=6))
    assert losses(other, tmp_path / "other")  # layers that do not fit start from random weights
