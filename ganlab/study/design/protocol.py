"""What a study is: its protocol, which reader sees which image when, and the seal over both before anybody reads."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta

import numpy as np

from ganlab.errors import InputError
from ganlab.study.design.stimuli import Lesion, Stimuli

DESIGNS = {
    "yes-no": "one image: real or synthetic, and how sure",
    "2afc": "two images, one of them synthetic: which, and how sure (two-alternative forced choice)",
    "ordinal": "one image: how real it looks, 1 to 6",
    "mosaic": "a panel of images: mark the synthetic ones (Chuquicusma et al. 2018)",
    "staircase": "one image, shown for a moment: shorter after a right answer, longer after a wrong one",
    "diagnose": "first each image: is there a lesion, and where; then each again: real or synthetic",
}
PRACTICE, TEST, FINDING = "practice", "test", "finding"  # blocks
LAG = 20  # images at least between an image and its repeat
BLOCKS = (4, 6, 8)  # images of a permuted block; which size comes when is concealed
PANEL = 9  # images of a mosaic
START_MS, DOWN_MS, UP_MS, SHORTEST_MS, LONGEST_MS = 500, 10, 30, 30, 1000  # of the staircase
DAYS, KEEP_DAYS = 90, 365  # that invitations are valid, and that answers are kept, unless the protocol says


@dataclass(frozen=True)
class Protocol:
    """What is fixed before the first answer.

    design: one of DESIGNS. readers: invited ones. practice: images at the start, shown in the test no more, with the
    truth told after each. catch: images whose tiles are shuffled, which nobody who looks takes for real. repeats: share
    of the images that come a second time, 20 others later at least. rest: a break is offered after so many questions.
    limit_s: seconds an image is shown, 0 as long as the reader wants. prevalence: whether readers are told the share of
    synthetic images. groups: of experience, for the reader to choose from. margin: about an area of 0.5 that counts as
    equivalent. race: a game for a class, with feedback and a leaderboard, which is no research. expires: last day of
    invitations; keep_until: day after which answers are deleted; ISO dates in UTC.
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


@dataclass(frozen=True)
class Case:
    """What is known of an image: its code, its truth, and what it is for: practice, test or catch."""

    code: str
    synthetic: bool
    role: str
    stratum: str = ""
    source: str = ""
    lesion: Lesion | None = None


@dataclass(frozen=True)
class Trial:
    """One question. asks: authenticate, choose (the synthetic one of two), rate, mark (the synthetic ones) or diagnose.
    repeat: whether a question before was the same."""

    asks: str
    block: str
    codes: tuple[str, ...]
    repeat: bool = False
    catch: bool = False


@dataclass(frozen=True)
class Sealed:
    """Protocol, truth and the seed of all orders, with a random word so that no one can guess its way to the hash."""

    protocol: Protocol
    cases: tuple[Case, ...]
    pixels: dict[str, str]  # code -> SHA-256 of shape and greys
    seed: int
    nonce: str

    def text(self) -> str:
        """Canonical JSON."""
        return canonical_json(asdict(self))

    def design_hash(self) -> str:
        """SHA-256 of what readers may know: protocol and images without truth, seed and order. Receipts carry it."""
        return hashlib.sha256(
            canonical_json([asdict(self.protocol), sorted(self.pixels.values())]).encode()
        ).hexdigest()

    def seal(self) -> str:
        """SHA-256 of the text, to be published before the study and checked after it."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def by_code(self) -> dict[str, Case]:
        return {case.code: case for case in self.cases}


def canonical_json(value) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_sealed(text: str) -> Sealed:
    """The inverse of Sealed.text. Raises InputError for what is none."""
    try:
        found = json.loads(text)
        cases = tuple(
            Case(**case | {"lesion": Lesion(**case["lesion"]) if case["lesion"] else None}) for case in found["cases"]
        )
        written = found["protocol"] | {"groups": tuple(found["protocol"]["groups"])}
        return Sealed(Protocol(**written), cases, found["pixels"], found["seed"], found["nonce"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        words = str(error)[:80]
        raise InputError(f"This is no sealed protocol ({words}); give the file that unblinding wrote.") from error


def check_protocol(protocol: Protocol) -> Protocol:
    """The protocol with its dates filled in. Raises InputError for values out of range."""
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
        raise InputError("Title, instructions or groups hold what is no letter; write them anew.") from None
    if len(protocol.groups) > 8 or any(not 0 < len(group) <= 60 for group in protocol.groups):
        raise InputError("groups are at most 8, of 1 to 60 characters each.")
    if protocol.race and protocol.design != "yes-no":
        raise InputError(f'A race asks real or synthetic: design "yes-no", not "{protocol.design}".')
    today = datetime.now(UTC).date()
    days = {"expires": DAYS, "keep_until": KEEP_DAYS}
    dates = {name: getattr(protocol, name) or str(today + timedelta(ahead)) for name, ahead in days.items()}
    for name, text in dates.items():
        try:
            day = date.fromisoformat(text)
            if str(day) != text:
                raise ValueError
        except ValueError:
            raise InputError(f'{name} is "{text[:20]}"; give a date such as {today + timedelta(days[name])}.') from None
        if day < today:
            raise InputError(f"{name} is {text}, which is past.")
    if dates["keep_until"] < dates["expires"]:
        raise InputError(
            f"keep_until {dates['keep_until']} lies before expires {dates['expires']}; keep answers longer."
        )
    written = {field.name: getattr(protocol, field.name) for field in fields(Protocol)}
    return Protocol(**written | dates)


def build(protocol: Protocol, stimuli: Stimuli) -> tuple[Sealed, dict[str, np.ndarray]]:
    """(what is to be sealed, code -> image) of a study. Codes, seed and roles are new random ones in each.

    Practice takes images of both kinds in turn. A catch image is one of practice, whose truth is told anyway, in
    shuffled tiles; without practice it is any of the test, for who knows its tiles again must not know its kind.
    Raises InputError if too few images are left for the test, or none has a lesion in a study that asks for them.
    """
    protocol = check_protocol(protocol)
    if protocol.design == "diagnose" and not (any(stimuli.lesions) and not all(stimuli.lesions)):
        raise InputError(
            "Diagnosing needs images with a lesion and images without: give lesion_x, lesion_y and lesion_radius in "
            "the table of truth."
        )
    seed, nonce = secrets.randbits(63), secrets.token_hex(32)
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(stimuli))
    sides = [[k for k in order if stimuli.synthetic[k] == arm] for arm in (False, True)]
    if any(len(side) - (protocol.practice + 1 - k) // 2 < 5 for k, side in enumerate(sides)):
        raise InputError(f"{len(stimuli)} images less {protocol.practice} for practice are too few; give more images.")
    practice = [sides[k % 2].pop() for k in range(protocol.practice)]
    if protocol.design == "diagnose" and len({stimuli.lesions[k] is None for side in sides for k in side}) < 2:
        raise InputError("Practice would take the last image with a lesion, or without; give more, or less practice.")
    codes = iter(_codes(rng, len(stimuli) + protocol.catch))
    cases, images = [], {}
    for k in sorted(range(len(stimuli))):
        case = Case(
            next(codes), bool(stimuli.synthetic[k]), PRACTICE if k in practice else TEST, stimuli.strata[k],
            stimuli.sources[k], stimuli.lesions[k] if stimuli.lesions else None,
        )  # fmt: skip
        cases.append(case)
        images[case.code] = stimuli.images[k]
    pool = practice or [int(k) for k in order]
    for k in range(protocol.catch if protocol.design in ("yes-no", "ordinal", "diagnose") else 0):
        case = Case(next(codes), True, "catch")
        cases.append(case)
        images[case.code] = shuffled_tiles(stimuli.images[pool[k % len(pool)]], rng)
    cases.sort(key=lambda case: case.code)
    pixels = {code: digest(image) for code, image in images.items()}
    return Sealed(protocol, tuple(cases), pixels, seed, nonce), images


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def shuffled_tiles(image: np.ndarray, rng: np.random.Generator, tiles: int = 6) -> np.ndarray:
    """An image cut into tiles x tiles pieces that lie in another order; what is left over at the edges stays."""
    h, w = (side // tiles for side in image.shape)
    pieces = [(i * h, j * w) for i in range(tiles) for j in range(tiles)]
    result = image.copy()
    for (i, j), k in zip(pieces, rng.permutation(len(pieces)), strict=True):
        a, b = pieces[k]
        result[i : i + h, j : j + w] = image[a : a + h, b : b + w]
    return result


def _codes(rng: np.random.Generator, count: int) -> list[str]:
    return [
        f"c{value:07x}" for value in rng.choice(2**28, count, replace=False)
    ]  # no spreadsheet takes it for a number


def plan(sealed: Sealed, reader: int) -> list[Trial]:
    """The questions of a reader (0, 1, ...) in their order. Readers 2k and 2k + 1 see the test in opposite orders, and
    two alternatives on opposite sides, so that neither place nor time favours an image."""
    protocol, cases = sealed.protocol, sealed.cases
    rng = np.random.default_rng([sealed.seed, 1, reader // 2])
    mirrored = bool(reader % 2)
    tested = [case for case in cases if case.role == TEST]
    practice = permuted([case for case in cases if case.role == PRACTICE], rng)
    trials = [Trial(_asks(protocol.design), PRACTICE, (case.code,)) for case in practice]
    if protocol.design == "2afc":
        trials = [Trial("choose", PRACTICE, pair) for pair in turned(pairs(practice, rng), rng)]
        matched = turned(pairs(tested, np.random.default_rng([sealed.seed, 2])), rng)  # the same pairs for all
        found = [Trial("choose", TEST, pair[::-1] if mirrored else pair) for pair in matched]
    elif protocol.design == "mosaic":
        trials = [Trial("mark", PRACTICE, tuple(case.code for case in practice))] if practice else []
        order = [case.code for case in permuted(tested, rng)]
        panels = np.array_split(order, -(-len(order) // PANEL))
        found = [Trial("mark", TEST, tuple(map(str, panel))) for panel in panels]
    else:
        found = [Trial(_asks(protocol.design), TEST, (case.code,)) for case in permuted(tested, rng)]
    if mirrored:
        found.reverse()
    if protocol.design == "diagnose":
        order = rng.permutation(len(tested))
        finding = [Trial("diagnose", FINDING, (tested[k].code,)) for k in (order[::-1] if mirrored else order)]
        trials = finding + trials  # nobody is primed by what is real before lesions are looked for
    return trials + with_extras(found, [case for case in cases if case.role == "catch"], protocol.repeats, rng)


def _asks(design: str) -> str:
    return "rate" if design == "ordinal" else "authenticate"


def kinds(cases: list[Case]) -> tuple[list[Case], list[Case]]:
    """Those of the first case's kind and those of the other: which of them is synthetic has no influence on an order,
    so that the order of two studies with opposite truths is the same."""
    first = bool(cases) and cases[0].synthetic
    return [case for case in cases if case.synthetic == first], [case for case in cases if case.synthetic != first]


def permuted(cases: list[Case], rng: np.random.Generator) -> list[Case]:
    """In blocks of 4, 6 or 8, by chance, of which each has its share of both kinds."""
    a, b = kinds(cases)
    rng.shuffle(a)
    rng.shuffle(b)
    order: list[Case] = []
    share, luck, taken = len(a) / max(1, len(cases)), rng.random(), 0
    while a or b:
        size = min(int(rng.choice(BLOCKS)), len(a) + len(b))
        many = int((len(order) + size) * share + luck) - taken
        many = max(size - len(b), min(many, len(a), size))
        taken += many
        block = [a.pop() for _ in range(many)] + [b.pop() for _ in range(size - many)]
        order += [block[k] for k in rng.permutation(len(block))]
    return order


def pairs(cases: list[Case], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Codes of a real and a synthetic image each, of one stratum as far as there are."""
    sides = kinds(cases)
    for side in sides:
        rng.shuffle(side)
    matched, spare = [], ([], [])
    for stratum in sorted({case.stratum for case in cases}):
        mine = [[case.code for case in side if case.stratum == stratum] for side in sides]
        both = min(map(len, mine))
        matched += zip(mine[0][:both], mine[1][:both], strict=True)
        for rest, side in zip(spare, mine, strict=True):
            rest.extend(side[both:])
    return matched + list(zip(*spare, strict=False))


def turned(matched: list[tuple[str, str]], rng: np.random.Generator) -> list[tuple[str, str]]:
    """In another order, half of them the other way round."""
    order, turn = rng.permutation(len(matched)), rng.permutation(np.arange(len(matched)) % 2)
    return [matched[k][::-1] if t else matched[k] for k, t in zip(order, turn, strict=True)]


def with_extras(found: list[Trial], catches: list[Case], share: float, rng: np.random.Generator) -> list[Trial]:
    """With catch images at random places, and a share of the questions again, LAG others later at least."""
    n = len(found)
    keyed = [(float(k), trial) for k, trial in enumerate(found)]
    first = np.arange(max(0, n - LAG))
    for k in rng.permutation(first)[: round(share * n)]:
        again = Trial(found[k].asks, found[k].block, found[k].codes, repeat=True)
        keyed.append((float(rng.uniform(k + LAG, n)), again))
    for case in catches:
        keyed.append((float(rng.uniform(0, n)), Trial(found[0].asks, TEST, (case.code,), catch=True)))
    return [trial for _, trial in sorted(keyed, key=lambda item: item[0])]


def exposure_ms(protocol: Protocol, right: list[bool]) -> int:
    """Milliseconds for which the next image is shown; 0: as long as the reader wants. right: whether the answers in the
    test so far were; only a staircase uses it.

    10 ms shorter when right and 30 ms longer when wrong settles where three of four answers are right (Kaernbach,
    Perception & Psychophysics 49:227, 1991). The other way round, as HYPE's steps are often quoted, would settle at one
    in four, which is below chance: everybody would end at the shortest exposure.
    """
    if protocol.design != "staircase":
        return round(1000 * protocol.limit_s)
    shown = START_MS
    for each in right:
        shown = max(SHORTEST_MS, shown - DOWN_MS) if each else min(LONGEST_MS, shown + UP_MS)
    return shown
