"""What a phantom patient may have that its seed does not say, in titles, links, commands and notices."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ganlab.translation.tasks import Task

BUILD = ("ventricles", "skull", "fat")  # options that every seed has a value of its own for
OPTION_WORDS = {  # how an option is said in a title and in a file's name
    "lesion": ("{}", "{}"),
    "craniotomy": ("craniotomy", "craniotomy"),
    "fillings": ("dental fillings", "fillings"),
    "defaced": ("defaced", "defaced"),
    "misalign": ("misaligned by {} mm", "misalign-{}"),
    "ventricles": ("ventricles {} times the mean", "ventricles-{}"),
    "skull": ("skull {} mm", "skull-{}"),
    "fat": ("scalp fat {} mm", "fat-{}"),
    "scanner": ("{} scanner", "{}"),
    "field": ("{} T", "field-{}"),
}


@dataclass(frozen=True)
class Options:
    """What a phantom patient has that its seed does not say, and its scanner: arguments of make_patient.

    ventricles (relative to the adult mean), skull, fat (mm): None is what the seed has.
    """

    lesion: str | None = None
    craniotomy: bool = False
    fillings: bool = False
    defaced: bool = False
    misalign: float = 0.0
    ventricles: float | None = None
    skull: float | None = None
    fat: float | None = None
    scanner: str = "research"
    field: float = 3.0

    def chosen(self) -> dict[str, str | float | bool]:
        """Those that differ from what a seed alone gives."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Options, name)}

    def texts(self) -> dict[str, str]:
        """The chosen ones as a link and a command write them; numbers in the fewest digits that say them exactly."""
        return {
            name: value if isinstance(value, str) else np.format_float_positional(value, trim="-")
            for name, value in self.chosen().items()
        }

    def words(self) -> tuple[str, str]:
        """The chosen ones as a title ends, and as a file's name does; empty where there are none."""
        said = [[words.format(text) for words in OPTION_WORDS[name]] for name, text in self.texts().items()]
        title = ", ".join(words for words, _ in said)
        return f": {title}" if said else "", "".join(f"-{words}" for _, words in said)


USUAL = Options()  # what a seed alone gives


def option_notices(options: Options, task: Task) -> tuple[str, ...]:
    """What a reader of the errors must know of the phantom's options."""
    notices = []
    if options.lesion:
        notices.append("About 15 % of the patients in the model's training have a tumour, plaques or a bleed.")
    if options.misalign and task.name != "t1fa":
        notices.append(
            f"Throat and jaw moved by about {options.texts()['misalign']} mm between T1 and CT, the skull by a third "
            "of it: that part of the error is not the model's."
        )
    return tuple(notices)


def seed_build(seed: int) -> dict[str, float]:
    """What the patient of a seed has of each option in BUILD."""
    import torch

    from ganlab.phantoms.build import sample_build

    drawn = sample_build(torch.Generator().manual_seed(seed))  # a head begins with its build
    return {name: getattr(drawn, name) for name in BUILD}
