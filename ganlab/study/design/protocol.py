"""The protocol of a study: everything that is fixed before the first answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from ganlab.errors import InputError

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
DAYS, KEEP_DAYS = 90, 365  # default days that invitations are valid and that answers are kept
MAX_GROUPS, MAX_GROUP = 8, 60  # groups of experience; characters of a group's name


@dataclass(frozen=True)
class Protocol:
    """What is fixed before the first answer.

    design: one of DESIGNS. readers: how many are invited. practice: images at the start that are not used in the test;
    readers are told the truth after each. catch: images with shuffled tiles, which an attentive reader calls synthetic.
    repeats: share of the images shown a second time, at least 20 images later. rest: questions between offers of
    a break. limit_s: seconds an image is shown, 0 for no limit. prevalence: whether readers are told the share of
    synthetic images. groups: levels of experience that readers choose from. margin: distance from an area of 0.5 that
    counts as equivalent. race: a classroom game with feedback and a leaderboard, not research. expires: last day of the
    invitations. keep_until: last day before answers are deleted. Days are ISO dates in UTC.
    """

    title: str = "Visual Turing test"
    design: str = "yes-no"
    instructions: str = ""
    readers: int = 4
    practice: int = 4
    catch: int = 2
    repeats: float = 0.1
    rest: int = 40
    limit_s: float = 0.0
    prevalence: bool = False
    groups: tuple[str, ...] = ()
    margin: float = 0.1
    race: bool = False
    expires: str = ""
    keep_until: str = ""


def check_protocol(protocol: Protocol) -> Protocol:
    """The protocol with default dates filled in. Raises InputError for values out of range."""
    ranges = {
        "readers": (1, 200), "practice": (0, 40), "catch": (0, 20), "repeats": (0, 0.5), "rest": (5, 500),
        "limit_s": (0, 600), "margin": (0.01, 0.4),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        if not low <= getattr(protocol, name) <= high:
            raise InputError(f"{name} is {getattr(protocol, name):g}, outside {low} to {high}.")
    if protocol.design not in DESIGNS:
        raise InputError(f'Design "{protocol.design}" is not known; choose from {", ".join(DESIGNS)}.')
    for name, most in (("title", 120), ("instructions", 4000)):
        if len(getattr(protocol, name)) > most:
            raise InputError(f"{name} has {len(getattr(protocol, name)):,} characters, more than {most:,}.")
    try:
        "".join([protocol.title, protocol.instructions, *protocol.groups]).encode()
    except UnicodeEncodeError:
        raise InputError("Title, instructions or groups contain invalid characters; type them again.") from None
    if len(protocol.groups) > MAX_GROUPS or any(not 0 < len(group) <= MAX_GROUP for group in protocol.groups):
        raise InputError(f"groups are at most {MAX_GROUPS}, of 1 to {MAX_GROUP} characters each.")
    if protocol.race and protocol.design != "yes-no":
        raise InputError(f'A race asks real or synthetic: design "yes-no", not "{protocol.design}".')
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
