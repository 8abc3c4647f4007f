"""The protocol of a study: everything that is fixed before the first answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from ganlab.errors import InputError
from ganlab.settings import Field, OneOf, frozen_config, setting

DESIGNS = {
    "yes-no": "one image: real or synthetic, and how sure",
    "2afc": "two images, one of them synthetic: which one, and how sure (two-alternative forced choice)",
    "ordinal": "one image: how real it looks, 1 to 6",
    "mosaic": "a panel of images: mark the synthetic ones (Chuquicusma et al. 2018)",
    "staircase": "one image, shown briefly: shorter after a correct answer, longer after a wrong one",
    "diagnose": "each image first: is there a lesion, and where; then each image again: real or synthetic",
}
PRACTICE, TEST, FINDING = "practice", "test", "finding"  # blocks of a session; the first two are also roles of images
CATCH = "catch"  # role of an image with shuffled tiles
WIDE_MARGIN, LEAST_WORDS = 0.2, 3  # a wider margin needs a written reason, of at least this many words
NO_RULES = {"catch_rate": 0, "least_s": 0, "one_sided": 1, "least_bits": 0}  # of protocols of earlier versions
DAYS, KEEP_DAYS = 90, 365  # default days that invitations are valid and that answers are kept
MAX_GROUPS, MAX_GROUP = 8, 60  # groups of experience; characters of a group's name


@frozen_config
class Protocol:
    """What is fixed before the first answer. The field names are those of the sealed JSON and must not change.

    Raises InputError for values out of range. Dates are not compared with today here, so that old protocols stay
    readable; `with_dates` does that for new ones.
    """

    title: str = Field(
        "Visual Turing test", title="Title", description="Title of the study, which readers see", extra={"longest": 120}
    )
    design: Annotated[str, OneOf(DESIGNS)] = Field("yes-no", title="Design", description="What readers are asked")
    instructions: str = Field(
        "",
        title="Instructions",
        description="Text that readers see before they consent; a standard text if empty",
        extra={"longest": 4000},
    )
    readers: int = Field(4, ge=1, le=200, title="Readers", description="How many readers are invited")
    practice: int = Field(
        4, ge=0, le=40, title="Practice images", description="Images at the start, with feedback, not used in the test"
    )
    catch: int = Field(
        6, ge=0, le=20, title="Catch images", description="Images with shuffled tiles, to check that readers look"
    )
    repeats: float | int = Field(
        0.1, ge=0, le=0.5, step=0.05, title="Share shown twice", description="Share of the images shown a second time"
    )
    rest: int = Field(
        40, ge=5, le=500, unit="questions", title="Break after", description="How often readers are offered a break"
    )
    limit_s: float | int = Field(
        0.0,
        ge=0,
        le=600,
        step=0.1,
        unit="s",
        title="Time limit",
        description="Exposure time of an image; 0 for no limit",
        extra={"flag": "--limit"},
    )
    prevalence: bool = Field(
        False,
        title="Tell prevalence",
        description="Tell readers the share of synthetic images",
        extra={"flag": "--tell-prevalence"},
    )
    groups: tuple[str, ...] = Field(
        (),
        title="Groups",
        description="A level of experience that readers choose from; may be repeated",
        extra={"flag": "--group"},
    )
    margin: float | int = Field(
        0.1,
        ge=0.01,
        le=0.4,
        step=0.01,
        title="Margin",
        description="Mean areas within 0.5 \u00b1 this count as equivalent; set it before the study",
    )
    margin_reason: str = Field(
        "",
        title="Reason for the margin",
        description="Why such areas count as equivalent; required above 0.2",
        extra={"longest": 1000},
    )
    audit_reason: str = Field(
        "",
        title="Reason despite the audit",
        description="Why to run a study whose kinds a classifier separates by greys alone; required then",
        extra={"longest": 1000},
    )
    catch_rate: float | int = Field(
        0.8,
        ge=0,
        le=1,
        step=0.05,
        title="Catch rate",
        description="Least share of the catch images that a reader must call synthetic",
    )
    least_s: float | int = Field(
        0.5,
        ge=0,
        le=60,
        step=0.1,
        unit="s",
        title="Least time",
        description="Least time to look; a tenth of a reader's answers may be quicker",
        extra={"flag": "--least-time"},
    )
    one_sided: float | int = Field(
        0.9,
        ge=0.5,
        le=1,
        step=0.05,
        title="One-sided",
        description="Largest share of a reader's answers that may be the same, real or synthetic",
    )
    least_bits: float | int = Field(
        0.5,
        ge=0,
        le=3,
        step=0.1,
        unit="bits",
        title="Least entropy",
        description="Least entropy of a reader's answers with their confidence",
    )
    final: bool = Field(
        True,
        title="Final when locked",
        description="Readers can have their answers deleted until the study is locked, and not after; consent says so",
    )
    race: bool = Field(
        False, title="Race", description="A classroom game with feedback and a leaderboard; not for research"
    )
    expires: str = Field(
        "", title="Expires", description=f"Last day of the invitations, YYYY-MM-DD; default {DAYS} days"
    )
    keep_until: str = Field(
        "", title="Keep until", description=f"Last day of the answers, YYYY-MM-DD; default {KEEP_DAYS} days"
    )

    @property
    def rules(self) -> bool:
        """Whether there are rules for readers' attention."""
        return any(getattr(self, name) != off for name, off in NO_RULES.items())

    def __post_init__(self) -> None:
        for each in (setting(Protocol, name) for name in ("title", "instructions", "margin_reason", "audit_reason")):
            longest, length = each.extra["longest"], len(getattr(self, each.name))
            if length > longest:
                raise InputError(f"{each.title} has {length:,} characters; at most {longest:,} are allowed.")
        try:
            "".join([self.title, self.instructions, self.margin_reason, self.audit_reason, *self.groups]).encode()
        except UnicodeEncodeError:
            raise InputError("Title, texts or groups contain invalid characters; type them again.") from None
        if len(self.groups) > MAX_GROUPS or any(not 0 < len(group) <= MAX_GROUP for group in self.groups):
            raise InputError(f"At most {MAX_GROUPS} groups are allowed, of 1 to {MAX_GROUP} characters each.")
        if self.race and self.design != "yes-no":
            raise InputError(f'A race asks real or synthetic: design "yes-no", not "{self.design}".')


def with_dates(protocol: Protocol) -> Protocol:
    """A new protocol with default dates filled in. Raises InputError for dates that are invalid or in the past, and for
    a wide margin without a reason."""
    if protocol.margin > WIDE_MARGIN and len(protocol.margin_reason.split()) < LEAST_WORDS:
        raise InputError(
            f"A margin of {protocol.margin:g} calls readers equivalent to chance who are right in up to "
            f"{0.5 + protocol.margin:.0%} of pairs; give the reason in a sentence, which is sealed and printed, or a "
            f"margin of at most {WIDE_MARGIN:g}."
        )
    expires, keep_until = _dates(protocol)
    return replace(protocol, expires=expires, keep_until=keep_until)


def _dates(protocol: Protocol) -> tuple[str, str]:
    """(expires, keep_until), or their defaults. Raises InputError for dates that are invalid or in the past."""
    today = datetime.now(UTC).date()
    defaults = {name: today + timedelta(days) for name, days in (("expires", DAYS), ("keep_until", KEEP_DAYS))}
    dates = {name: getattr(protocol, name) or str(day) for name, day in defaults.items()}
    for name, text in dates.items():
        try:
            day = date.fromisoformat(text)
            if str(day) != text:  # another ISO form; dates are compared as text
                raise ValueError
        except ValueError:
            raise InputError(f'{name} is "{text[:20]}"; give a date such as {defaults[name]}.') from None
        if day < today:
            raise InputError(f"{name} is {text}, which is in the past.")
    if dates["keep_until"] < dates["expires"]:
        raise InputError(
            f"keep_until {dates['keep_until']} is before expires {dates['expires']}; keep the answers longer."
        )
    return dates["expires"], dates["keep_until"]
