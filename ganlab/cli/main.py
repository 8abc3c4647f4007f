"""python -m ganlab ...: parses and prints; the work is done elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, Settings, make_folder, narrate, progress_bar, say
from ganlab.cli.cycle import cycle
from ganlab.cli.generate import evaluate_generator, generate, nodules, stimuli
from ganlab.cli.study import study
from ganlab.cli.toy import toy
from ganlab.cli.translate import evaluate, evaluate_models, translate
from ganlab.errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

Modality = Annotated[list[str], typer.Option(help="t1, t2, pd, flair, ct, fa, pet or labels; may be repeated.")]


def main() -> None:
    """Run a command; a user's mistake ends in one sentence on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        print(error, file=sys.stderr)
    except typer.TyperException as error:
        if message := error.format_message().rstrip("."):  # empty where the help was printed instead
            print(f"{message}.", file=sys.stderr)
    sys.exit(2)


@app.command()
def info(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Versions, device and threads of this machine."""
    import ganlab
    from ganlab.device import describe, resolve

    say({"ganlab": ganlab.__version__, **describe(), "device": resolve(device)}, as_json)


@app.command()
def models(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Pretrained models and what their cards say."""
    from ganlab.checkpoints import list_models

    cards = list_models()
    text = "\n".join(f"{c['name']:<16} {c['task']:<8} {c['parameters']:>10,} parameters  {c['summary']}" for c in cards)
    say({"models": cards}, as_json, text or "No pretrained models.")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the volumes.")],
    seed: Seed = 7,
    modality: Modality = ["t1", "ct", "labels"],  # noqa: B006
    spacing: Annotated[float, typer.Option(help="Voxel edge in mm, 0.5 to 8.")] = 1.0,
    lesion: Annotated[str | None, typer.Option(help="tumour, plaques or bleed, where the seed puts it.")] = None,
    lesion_at: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z,RADIUS", help="One lesion here instead: MNI mm (x to the right), radius in mm."),
    ] = None,
    misalign: Annotated[
        float, typer.Option(help="How far throat and jaw moved between CT (and labels) and the rest, mm, 0 to 12.")
    ] = 0.0,
    scanner: Annotated[str, typer.Option(help="research, fat-suppressed, clinical or noisy.")] = "research",
    field: Annotated[float, typer.Option(help="MR field strength in T, 1.5 or 3.")] = 3.0,
    defaced: Annotated[bool, typer.Option("--defaced", help="Cut the face away.")] = False,
    craniotomy: Annotated[bool, typer.Option("--craniotomy", help="A bone flap in the vault.")] = False,
    fillings: Annotated[bool, typer.Option("--fillings", help="Amalgam in the teeth, with its streaks in CT.")] = False,
    ventricles: Annotated[
        float | None, typer.Option(help="Width of the lateral ventricles, 0.5 to 2.5, adult mean 1; else the seed's.")
    ] = None,
    skull: Annotated[float | None, typer.Option(help="Skull thickness in mm, 3 to 12; else the seed's.")] = None,
    fat: Annotated[float | None, typer.Option(help="Scalp fat in mm, 0.8 to 12; else the seed's.")] = None,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Make a phantom patient: paired volumes and the tissue labels behind them."""
    import time

    from ganlab.device import resolve
    from ganlab.imaging.reading.files import write_volume
    from ganlab.phantoms import LABELS, make_patient

    start = time.perf_counter()
    options = {
        "misalign": misalign,
        "scanner": scanner,
        "field": field,
        "defaced": defaced,
        "craniotomy": craniotomy,
        "fillings": fillings,
    }
    build = {"ventricles": ventricles, "skull": skull, "fat": fat}
    volumes = make_patient(
        seed,
        modality,
        spacing,
        resolve(device),
        progress_bar("phantom", as_json),
        lesion=parse_lesion(lesion, lesion_at),
        **options,
        **{name: value for name, value in build.items() if value is not None},
    )
    make_folder(out)
    files = {}
    for name, volume in volumes.items():
        files[name] = str(out / f"{name}.nii.gz")
        write_volume(volume, files[name])
    if "labels" in volumes:
        files["label_names"] = str(out / "labels.tsv")
        rows = "".join(f"{index}\t{name}\n" for index, name in LABELS.items())
        Path(files["label_names"]).write_text(f"index\tname\n{rows}", encoding="utf-8")
    result = {
        "seed": seed,
        "modality": list(volumes),
        "spacing": spacing,
        "lesion": lesion,
        "lesion_at": lesion_at,
        **options,
        **build,
        "files": files,
        "shape": list(next(iter(volumes.values())).shape),
        "seconds": round(time.perf_counter() - start, 2),
    }
    if "labels" in volumes:
        result["labels"] = LABELS
    say(result, as_json, "\n".join(files.values()))


@app.command()
def train(
    preset: Annotated[
        str,
        typer.Argument(
            help="A translator: mr2ct-unet, ct2mr-unet, t1fa-unet, mr2ct-pix2pix, ct2mr-pix2pix, t1fa-pix2pix, "
            "mr2ct-cyclegan, mr2ct-cyclegan-structure, mr2ct-cyclegan-plain, t1fa-cyclegan or mr2ct-wolterink; "
            "a generator: dcgan-nodules, ..."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoints; runs/PRESET unless given.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
    steps: Annotated[int | None, typer.Option(help="Stop after so many steps in all.", min=1)] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Save and stop after so many minutes, to go on with --resume.", min=0)
    ] = None,
    start: Annotated[str | None, typer.Option(help="A model whose weights to start from.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder of your own volumes, or images, to learn from.")] = None,
    target: Annotated[
        Path | None, typer.Option(help="Folder of what they become; of the same names, unless for cyclegan.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make slices.", min=0)] = 1,
    board: Annotated[bool, typer.Option("--tensorboard", help="Write out/tensorboard as well.")] = False,
    setting: Settings = [],  # noqa: B006
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option(help="Another seed than the preset's.")] = None,
    device: Device = "auto",
) -> None:
    """Train a model on nothing but the phantoms, or on your own volumes.

    SIGINT (Ctrl-C) and SIGTERM save and stop it after the running step; --resume goes on from there.

    Several GPUs or machines: accelerate launch -m ganlab train ...
    """
    from functools import partial

    from ganlab.checkpoints import read_card
    from ganlab.device import resolve
    from ganlab.generation.data import OWN, get_kind
    from ganlab.generation.features import FEATURES, train_features
    from ganlab.generation.own_images import own_kind, read_folder
    from ganlab.generation.presets import PRESETS as GENERATORS
    from ganlab.generation.presets import get_preset as get_generator
    from ganlab.generation.presets import on_own
    from ganlab.generation.trainer import train as train_generator
    from ganlab.processes import rank
    from ganlab.settings import parse_settings, with_settings
    from ganlab.training import stopping, tensorboard
    from ganlab.translation.dataset import Folders
    from ganlab.translation.presets import PRESETS as TRANSLATORS
    from ganlab.translation.presets import get_preset
    from ganlab.translation.tasks import get_task
    from ganlab.translation.trainer import train as run

    out, silent, unit = out or Path("runs") / preset, as_json or rank() > 0, ""
    if preset.startswith(FEATURES):
        if setting or minutes is not None:
            raise InputError(f"{preset} is trained as it is, in minutes: leave --set and --minutes out.")
        kind = get_kind(preset.removeprefix(FEATURES))
        if source and not kind.name.startswith(OWN):
            raise InputError(f"{preset} learns from images that ganlab makes; leave --source out.")
        if source:
            kind, notices = own_kind(source, kind.size, progress_bar("images", silent))
            for notice in notices:
                print(notice, file=sys.stderr)
        card = train_features(kind, out, resolve(device), steps or 1200, progress=progress_bar(preset, silent))
        say({"out": str(out), **card["metrics"]}, as_json)
        return
    if preset not in GENERATORS and preset not in TRANSLATORS:
        raise InputError(
            f'Preset "{preset}" is not known; choose from {", ".join(GENERATORS)} (images from noise) or '
            f"{', '.join(TRANSLATORS)} (translation)."
        )
    if preset in GENERATORS:
        if start or target:
            raise InputError(f"{preset} makes images from noise: leave --start and --target out.")
        config, images = with_settings(get_generator(preset, steps=steps, seed=seed), parse_settings(setting)), None
        if source:
            images, _, notices = read_folder(source, config.network.size, progress_bar("images", silent))
            config = on_own(config, images)
            for notice in notices:
                print(notice, file=sys.stderr)
        begin = partial(train_generator, config, out, resolve(device), resume, images, progress_bar("images", silent))
    else:
        config = get_preset(preset, parse_settings(setting), steps=steps, seed=seed, start=start)
        if (source is None) != (target is None):
            raise InputError("--source and --target go together: give both folders, or neither to train on phantoms.")
        data, unit = Folders(source, target) if source and target else None, get_task(config.task).unit
        begin = partial(run, config, out, resolve(device), resume, workers, data, progress_bar("volumes", silent))
    log = tensorboard(out / "tensorboard") if board and rank() == 0 else None
    with stopping(minutes) as stop:
        average = narrate(begin(stop=stop), silent, unit, log)
        code = stop()
    if rank():
        return
    reached = read_card(out)["steps"]
    done = reached >= config.steps
    result = {"out": str(out), "steps": reached} | {k: v for k, v in average.items() if k != "rate"}
    say(result, as_json, f"{out}: done, {reached} steps" if done else f"Stopped at step {reached}; --resume goes on.")
    if not done:
        raise typer.Exit(code)


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="paired-vs-unpaired, hallucination or generators.")],
    out: Annotated[Path | None, typer.Option(help="Folder for trainings and result; runs/NAME unless given.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Of every training; the experiment's own unless given.", min=1)
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make slices.", min=0)] = 1,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train what an experiment compares, and measure it; a stopped one goes on from its checkpoints."""
    from ganlab.device import resolve
    from ganlab.experiments import get_experiment
    from ganlab.experiments.arms import trainings

    chosen = get_experiment(name)
    out, steps, place = out or Path("runs") / name, steps or chosen.STEPS, resolve(device)
    for title, events in trainings(chosen.arms(steps, seed), out, place, workers):
        if not as_json:
            print(title, flush=True)
        narrate(events, as_json)
    result = chosen.measure(steps, out, place, progress_bar("measuring", as_json) or (lambda share: None))
    say(result, as_json, f"{chosen.format_result(result)}\n\n{out / 'figure.png'}")


for command in (toy, translate, evaluate, evaluate_models, cycle, nodules, generate, stimuli, evaluate_generator):
    app.command()(command)
app.add_typer(study, name="study")


@app.command()
def benchmark(
    name: Annotated[str, typer.Argument(help="translate, train, toy, dcgan, live (the page in a browser) or study.")],
    slices: Annotated[int, typer.Option(help="translate: 256x256 slices per round.", min=1, max=512)] = 8,
    rounds: Annotated[int, typer.Option(help="Alternations of ours and the textbook way.", min=1, max=100)] = 3,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Our way and the textbook way in one run, alternating; prints the ratio."""
    if name == "translate":
        from ganlab.benchmarks.translate import benchmark_translate, format_benchmark

        result = benchmark_translate(device, slices, rounds, seed)
    elif name == "train":
        from ganlab.benchmarks.train import benchmark_training, format_benchmark

        result = benchmark_training(device, rounds, seed)
    elif name == "toy":
        from ganlab.benchmarks.toy import benchmark_toy, format_benchmark

        result = benchmark_toy(device, rounds=rounds, seed=seed)
    elif name == "dcgan":
        from ganlab.benchmarks.dcgan import benchmark_dcgan, format_benchmark

        result = benchmark_dcgan(device, rounds, seed)
    elif name == "live":
        from ganlab.benchmarks.live import benchmark_live
        from ganlab.benchmarks.live import format_live as format_benchmark

        result = benchmark_live()
    elif name == "study":
        import os

        from ganlab.benchmarks.study import benchmark_study
        from ganlab.benchmarks.study import format_study as format_benchmark

        result = benchmark_study(url=os.environ.get("GANLAB_DATABASE_URL"), seed=seed)
    else:
        raise InputError(f'Benchmark "{name}" is not known; choose from translate, train, toy, dcgan, live, study.')
    say(result, as_json, format_benchmark(result))


def parse_lesion(kind: str | None, place: str | None):
    """What make_patient takes as a lesion, from --lesion and --lesion-at. Raises InputError."""
    from ganlab.phantoms import LESIONS, Lesion, Spot

    if place is None:
        return kind
    if kind is None:
        raise InputError(f"--lesion-at says where, not what: add --lesion with one of {', '.join(LESIONS)}.")
    try:
        spot = Spot(*map(float, place.split(",")))
    except (TypeError, ValueError) as error:
        raise InputError(f'--lesion-at "{place}" is not X,Y,Z,RADIUS in mm, such as 30,-10,20,12.') from error
    return Lesion(kind, (spot,))
