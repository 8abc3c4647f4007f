"""python -m ganlab ...: parses and prints; the work is done elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, make_folder, progress_bar, say
from ganlab.cli.cycle import cycle
from ganlab.cli.experiment import experiment
from ganlab.cli.generate import evaluate_generator, generate, nodules, stimuli
from ganlab.cli.study import study
from ganlab.cli.toy import toy
from ganlab.cli.train import train
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


for command in (
    train,
    experiment,
    toy,
    translate,
    evaluate,
    evaluate_models,
    cycle,
    nodules,
    generate,
    stimuli,
    evaluate_generator,
):
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
