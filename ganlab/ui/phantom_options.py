"""The options of a phantom patient, by the names that pages use."""

from __future__ import annotations

from ganlab.phantoms.options import PhantomOptions as Options
from ganlab.translation.tasks import Task

USUAL = Options()  # what a seed alone gives


def option_notices(options: Options, task: Task) -> tuple[str, ...]:
    """What a reader of the errors must know of the phantom's options."""
    return options.notices((task.source, task.target))
