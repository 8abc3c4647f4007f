"""Make the opening case anew: `python -m ganlab.ui.opening [--seed N]`, after the model or the phantom has changed.

The patient is translated and measured at full resolution; the layers are then kept at 1.5 mm, T1 in 256 steps, so that
the page opens on something without waiting and the repository stays small.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from ganlab.ui.cases import HELD_OUT, Job, load_layer, save_case, solve
from ganlab.ui.translate import OPENING

SPACING = 1.5  # mm
WORDS = ("title", "stem", "model", "seconds", "planes", "notices", "commands", "seed", "metrics", "histogram")
T1_STEPS = 255
LIMIT = 4_000_000  # bytes of all files together


def make_opening(seed: int, folder: Path) -> int:
    """Replace the folder by the opening case of a phantom patient; returns its size in bytes.

    Raises ValueError, and leaves the folder as it was, if the case came out larger than LIMIT.
    """
    from ganlab.imaging.grid import model_grid, resample
    from ganlab.imaging.volume import Volume

    with tempfile.TemporaryDirectory() as scratch:
        full, small = Path(scratch, "full"), Path(scratch, "small")
        full.mkdir()
        small.mkdir()
        case = solve(Job(seed=seed), full)
        volumes = {}
        for layer in case.layers:
            volume = Volume(load_layer(full, case, layer.name), case.affine, layer.unit or "arbitrary")
            fill = -1000.0 if layer.unit == "HU" else 0.0
            volumes[layer.name] = resample(volume, *model_grid(volume, SPACING), fill=fill)
        words = {name: getattr(case, name) for name in WORDS}
        words["notices"] += (f"Shown at {SPACING:g} mm, measured at full resolution; Translate makes it at 1 mm.",)
        save_case(small, volumes, steps=T1_STEPS, compresslevel=9, **words)
        size = sum(file.stat().st_size for file in small.iterdir())
        if size > LIMIT:
            raise ValueError(f"The opening case has {size} bytes, more than {LIMIT}: use a coarser SPACING.")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small, folder)
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=HELD_OUT)
    seed = parser.parse_args().seed
    print(f"{OPENING}: phantom patient {seed}, {make_opening(seed, OPENING)} bytes")


if __name__ == "__main__":
    main()
