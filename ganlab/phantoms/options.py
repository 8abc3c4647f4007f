"""The settings of phantom patients: modalities, and the options of patient and scanner, each declared once.

The command's options, the page's controls, links, titles, file names, printed commands, notices and error messages
follow from the declaration; `volumes.make_patient` uses the value. This module loads without torch.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from ganlab.errors import InputError
from ganlab.settings import Field, OneOf, Setting, changes, frozen_config, number, settings_of

MODALITIES = ("t1", "t2", "pd", "flair", "ct", "fa", "pet", "labels")
SPACINGS = (0.5, 8.0)  # mm, voxel edge
LESIONS = {"tumour": "Tumour", "plaques": "Plaques", "bleed": "Bleed"}
SCANNERS = {  # their noise, slices and kernels are in scanner.py
    "research": "Research: 3-D, low noise",
    "fat-suppressed": "Fat-suppressed",
    "clinical": "Clinical: 4 mm slices",
    "noisy": "Noisy: an old coil and tube",
}
FIELDS = {1.5: "1.5 T", 3.0: "3 T"}
DRAWN = "(else drawn from the seed)"
PATIENT, SCANNER = "patient", "scanner"  # sections of the page's controls


def _option(
    default: Any,
    title: str,
    help: str,
    *,
    words: str,
    stem: str,
    section: str | None = PATIENT,
    notice: str = "",
    notice_for: str = "",
    **rules: Any,
) -> Any:
    """A field of PhantomOptions.

    words, stem: its wording in titles and in file names; {} is the value. section: of the page's controls; None: not
    on the page. notice: what a reader of a comparison must know, if one of the two volumes has the modality
    `notice_for` (any if empty).
    """
    extra = {"words": words, "stem": stem, "section": section, "notice": notice, "notice_for": notice_for}
    return Field(default, title=title, description=help, extra=extra, **rules)


@frozen_config
class PhantomOptions:
    """The properties of a phantom patient that its seed does not determine, and its scanner.

    An optional number is a field of `build.Build` of the same name; where it is None, the seed draws it.
    """

    lesion: Annotated[str | None, OneOf(LESIONS)] = _option(
        None,
        "Lesion",
        "Kind of lesion, at a place drawn from the seed",
        words="{}",
        stem="{}",
        notice="About 15 % of the patients in the model's training have a tumour, plaques or a bleed.",
    )
    craniotomy: bool = _option(False, "Craniotomy", "A bone flap in the vault.", words="craniotomy", stem="craniotomy")
    fillings: bool = _option(
        False,
        "Dental fillings",
        "Amalgam fillings, with streak artefacts on CT.",
        words="dental fillings",
        stem="fillings",
    )
    defaced: bool = _option(False, "Defaced", "Remove the face, as in public scans.", words="defaced", stem="defaced")
    misalign: float = _option(
        0.0,
        "Misalignment",
        "Shift of throat and jaw between CT (and labels) and the other scans; the skull shifts a third of it",
        words="misaligned by {} mm",
        stem="misalign-{}",
        notice="Throat and jaw moved by about {} mm between MR and CT, the skull by a third of it: that part of the "
        "error is not due to the model.",
        notice_for="ct",
        ge=0.0,
        le=12.0,
        unit="mm",
        step=0.5,
    )
    ventricles: float | None = _option(
        None,
        "Ventricle width",
        f"Width of the lateral ventricles relative to the adult mean {DRAWN}",
        words="ventricles {} times the mean",
        stem="ventricles-{}",
        ge=0.5,
        le=2.5,
        unit="times the mean",
        step=0.1,
    )
    skull: float | None = _option(
        None,
        "Skull thickness",
        f"Thickness of the skull {DRAWN}",
        words="skull {} mm",
        stem="skull-{}",
        ge=3.0,
        le=12.0,
        unit="mm",
        step=0.1,
    )
    fat: float | None = _option(
        None,
        "Scalp fat",
        f"Thickness of the scalp's fat {DRAWN}",
        words="scalp fat {} mm",
        stem="fat-{}",
        ge=0.8,
        le=12.0,
        unit="mm",
        step=0.1,
    )
    scanner: Annotated[str, OneOf(SCANNERS)] = _option(
        "research", "Scanner", "How MR and CT are acquired", words="{} scanner", stem="{}", section=SCANNER
    )
    field: Annotated[float, OneOf(FIELDS)] = _option(
        3.0, "MR field", "MR field strength in T", words="{} T", stem="field-{}", section=SCANNER, unit="T"
    )
    lesion_at: str | None = _option(
        None,
        "Lesion's place",
        "A single lesion at X,Y,Z,RADIUS: MNI mm (x to the patient's right) and radius in mm",
        words="at {}",
        stem="at-{}",
        section=None,
    )
    atrophy: float | None = _option(
        None,
        "Atrophy",
        f"Weight of fluid relative to brain tissue, 2.2 on average {DRAWN}",
        words="atrophy {}",
        stem="atrophy-{}",
        section=None,
        ge=0.5,
        le=6.0,
    )

    def __post_init__(self) -> None:
        if self.lesion_at is not None and self.lesion is None:
            raise InputError(f"The lesion's place is given without a lesion: choose one of {', '.join(LESIONS)}.")
        self.lesion_spot()

    def lesion_spot(self) -> tuple[float, float, float, float] | None:
        """`lesion_at` as numbers: x, y, z in MNI mm and the radius in mm. Raises InputError."""
        if self.lesion_at is None:
            return None
        try:
            x, y, z, radius = map(float, self.lesion_at.split(","))
        except ValueError:
            raise InputError(
                f'Lesion\'s place "{self.lesion_at}" is not X,Y,Z,RADIUS in mm, such as 30,-10,20,12.'
            ) from None
        return x, y, z, radius

    def chosen(self) -> dict[str, str | float | bool]:
        """The options that differ from what a seed alone gives."""
        return changes(self)

    def texts(self) -> dict[str, str]:
        """The chosen options as a link writes them."""
        return {name: "1" if value is True else number(value) for name, value in self.chosen().items()}

    def words(self) -> tuple[str, str]:
        """The chosen options as the end of a title and of a file's name; empty if there are none."""
        texts = self.texts()
        mentioned = [(each.extra, texts[each.name]) for each in OPTIONS if each.name in texts]
        title = ", ".join(extra["words"].format(text) for extra, text in mentioned)
        return f": {title}" if mentioned else "", "".join(f"-{extra['stem'].format(text)}" for extra, text in mentioned)

    def command(self) -> list[str]:
        """The chosen options as words of the command `phantom`."""
        arguments = []
        for name, value in self.chosen().items():
            flag = f"--{name.replace('_', '-')}"
            arguments += [flag] if value is True else [flag, number(value)]
        return arguments

    def notices(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Notices about the chosen options for a comparison between these modalities."""
        texts = self.texts()
        return tuple(
            each.extra["notice"].format(texts[each.name])
            for each in OPTIONS
            if each.name in texts and each.extra["notice"] and each.extra["notice_for"] in ("", *modalities)
        )


OPTIONS: list[Setting] = settings_of(PhantomOptions)
# Options whose value the seed draws, unless they are given.
DRAWN_OPTIONS = [each.name for each in OPTIONS if each.kind is float and each.optional]
