"""ganlab generate, stimuli and evaluate-generator; the work is done in ganlab/generation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, progress_bar, say
from ganlab.errors import InputError

OwnSource = Annotated[
    Path | None, typer.Option(help="For a generator trained on your own images: the folder of those images.")
]
FEWEST = 100  # images of a set: with 50 digits or nodules precision and recall were 1.0 for any generator
TOO_FEW = (
    "nearly every image is among the 5 nearest neighbours of another, so precision and recall are near 1 for any "
    "generator, and the Frechet distance of 64 features is mostly bias, many times that of 2,000 images"
)


def generate(
    out: Annotated[Path, typer.Option(help="Folder for the images.")],
    model: Annotated[str, typer.Option(help="A shipped generator, or a training folder.")] = "dcgan-digits",
    count: Annotated[int, typer.Option("--n", help="Number of images, 1 to 10,000.", min=1, max=10_000)] = 64,
    label: Annotated[str | None, typer.Option(help="One class, such as malignant; by default all in turn.")] = None,
    psi: Annotated[float, typer.Option(help="Truncation: a factor of z, above 0 and at most 1.")] = 1.0,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Generate images from noise."""
    from ganlab.device import resolve
    from ganlab.generation.export import write_samples
    from ganlab.generation.sampling import generate as run

    samples = run(model, count, seed, label, psi, resolve(device), progress_bar("generate", as_json))
    files = write_samples(samples.kind, samples.images, samples.labels, samples.z.numpy(), out)
    result = {"model": model, "n": count, "seed": seed, "label": label, "psi": psi, "files": files}
    say(result, as_json, "\n".join(files.values()))


def stimuli(
    out: Annotated[Path, typer.Option(help="Output folder: images/ for the readers, truth.csv kept from them.")],
    model: Annotated[str, typer.Option(help="A shipped generator, or a training folder.")] = "dcgan-nodules",
    count: Annotated[int, typer.Option("--n", help="Number of images, half of them real.", min=2, max=2000)] = 60,
    source: OwnSource = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Write real and generated images for a visual Turing test, shuffled, with random codes as names."""
    from ganlab.device import resolve
    from ganlab.generation.mixed_images import write_mixed_images

    files = write_mixed_images(model, count, out, seed, resolve(device), progress_bar("stimuli", as_json), source)
    result = {"model": model, "n": count, "seed": seed, "files": files}
    say(result, as_json, "\n".join(files.values()))


def evaluate_generator(
    model: Annotated[
        list[str] | None, typer.Option(help="Name or folder of a generator; by default all shipped ones.")
    ] = None,
    count: Annotated[int, typer.Option("--n", help="Maximum number of images per set, at least 100.")] = 2000,
    source: OwnSource = None,
    write_card: Annotated[bool, typer.Option(help="Write the results into the models' cards.")] = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Evaluate generators: realism, diversity and memorisation, compared with other real images."""
    from ganlab.checkpoints import list_models
    from ganlab.device import resolve
    from ganlab.generation.evaluation import evaluate_generator as measure
    from ganlab.generation.evaluation import format_quality, write_quality

    if count < FEWEST:
        raise InputError(f"{count} images of each set are too few: {TOO_FEW}; ask for --n {FEWEST} or more.")
    if source and not model:
        raise InputError("--source is for a generator of your own images; give its folder with --model as well.")
    results = {}
    for name in model or [card["name"] for card in list_models("generate")]:
        results[name] = measure(name, resolve(device), count, seed, progress_bar(name, as_json), source)
        if (held_out := results[name]["counts"]["held_out"]) < FEWEST:
            print(
                f"{name}: {held_out} held-out images are few: {TOO_FEW}; add images, {FEWEST * 5} in all.",
                file=sys.stderr,
            )
        if write_card:
            write_quality(name, results[name])
    say(results, as_json, "\n\n".join(map(format_quality, results.values())))
