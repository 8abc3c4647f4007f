"""The organiser's requests. Each carries the study's name and secret; creating a study carries the host's secret."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.checkpoints import list_models
from ganlab.errors import InputError
from ganlab.settings import from_values, settings_of
from ganlab.study.design.protocol import Protocol
from ganlab.study.design.simulation import SimulatedStudy

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ganlab.study.design.stimuli import Stimuli

MAX_BYTES = 2**27  # of a request with the host's secret, which may contain a study's images in base64
MAX_REQUEST = 2**20  # of any other request, such as a reader's receipt
MOST_READERS, MOST_CASES = 20, 400  # of a plan that is simulated while the organiser waits
MOST_FILES = 2000
STUDIES = 200  # simulated for a plan
NOT_ON_THE_WEB = ("diagnose",)  # designs that need a truth table
NO_HOST = (
    "Studies are created over the web only where the host has set GANLAB_HOST_SECRET; create this one on the server "
    "with python -m ganlab study create."
)


def is_host(secret: object, host: str) -> bool:
    """Whether this is the host's secret; never if the host has set none."""
    return bool(host) and hmac.compare_digest(str(secret).encode(errors="replace"), host.encode())


def answer(engine: Callable[[], Engine], host: str, request: dict) -> dict:
    """Answer an organiser's request; errors are returned in "error".

    request: `do`, which is one of ACTIONS (with `study` and `secret`), or options, plan (`readers`, `count`, `margin`)
    or create (`host`, `protocol`, and `model` with `count`, or `real` and `synthetic` files with `size`). engine: opens
    the database. host: the secret that allows creating studies, "" to allow none.
    """
    do = request.get("do")
    try:
        if do == "options":
            return options(host)
        if do == "plan":
            return plan_words(request)
        if do == "create":
            return create(engine, host, request)
        if not isinstance(do, str) or do not in ACTIONS:
            raise InputError("This request is not known; reload the page.")
        return manage(engine(), do, request)
    except InputError as error:
        return {"error": str(error)}


def options(host: str) -> dict:
    """What the form for a new study offers: generators, the settings of a protocol, limits of the number of images."""
    from ganlab.study.design.stimuli import LEAST, MOST

    settings = [
        {
            "name": each.name, "title": each.title, "help": each.help, "unit": each.unit, "default": each.default,
            "kind": each.kind.__name__, "low": each.low, "high": each.high, "step": each.step,
            "choices": {value: words for value, words in each.choices.items() if value not in NOT_ON_THE_WEB},
            "longest": each.extra.get("longest"),
        }
        for each in settings_of(Protocol)
    ]  # fmt: skip
    models = [card["name"] for card in list_models("generate")]
    return {"models": models, "web": bool(host), "settings": settings, "images": {"low": 2 * LEAST, "high": MOST}}


def plan_words(request: dict) -> dict:
    """What a study of this size could conclude if readers cannot tell real from synthetic, in sentences. Raises
    InputError."""
    from ganlab.study.design.planning import format_plan, plan

    margin = from_values(Protocol, {"margin": request.get("margin")}).margin
    readers, count = request.get("readers"), request.get("count")
    study = from_values(SimulatedStudy, {"readers": readers, "cases": count, "dprime": 0.0})
    if study.readers > MOST_READERS or study.cases > MOST_CASES:
        raise InputError(
            f"More than {MOST_READERS} readers or {MOST_CASES} images take long to simulate; use "
            "python -m ganlab study plan."
        )
    return {"words": format_plan(plan(study, float(margin), STUDIES))}


def create(engine: Callable[[], Engine], host: str, request: dict) -> dict:
    """Create a study from a generator or from uploaded files. Raises InputError."""
    from ganlab.study import organise

    if not host:
        raise InputError(NO_HOST)
    if not is_host(request.get("host"), host):
        raise InputError("This is not the host's secret.")
    if not isinstance(request.get("protocol"), dict):
        raise InputError("The protocol is missing; reload the page.")
    protocol = from_values(Protocol, request["protocol"])
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        stimuli = read_stimuli(request, Path(folder))
    created = organise.create(engine(), protocol, stimuli)
    return {"study": created.study, "secret": created.secret, "seal": created.seal}


def read_stimuli(request: dict, folder: Path) -> Stimuli:
    """The images of a request: half a generator's and half real ones, or uploaded files. Raises InputError."""
    from ganlab.generation.mixed_images import mix_images
    from ganlab.study.design.stimuli import from_folders, from_mixed

    if model := request.get("model"):
        count = request.get("count")
        if type(count) is not int:
            raise InputError(f'"{str(count)[:20]}" is not a number of images.')
        mixed = mix_images(str(model), count, secrets.randbits(32))
        return from_mixed(mixed.images, mixed.truth)
    for arm in ("real", "synthetic"):
        save_uploads(request.get(arm), folder / arm)
    size = request.get("size") or None
    if size is not None and type(size) is not int:
        raise InputError(f'Size "{str(size)[:20]}" is not a number of pixels.')
    return from_folders(folder / "real", folder / "synthetic", size=size)


def save_uploads(files: Any, folder: Path) -> None:
    """Write uploaded files ({"name", "data" in base64}) to a new folder. Raises InputError."""
    folder.mkdir()
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise InputError(f"Give up to {MOST_FILES:,} {folder.name} images.")
    for k, file in enumerate(files):
        try:
            name, data = Path(str(file["name"])).name, base64.b64decode(file["data"], validate=True)
            (folder / f"{k:04d}-{name[-80:]}").write_bytes(data)
        except (KeyError, TypeError, ValueError, OSError, binascii.Error):
            raise InputError("An upload was incomplete or had an invalid name; try again.") from None


def manage(engine: Engine, do: str, request: dict) -> dict:
    """Do one of ACTIONS with a study. Raises InputError."""
    from ganlab.study import organise

    row = organise.open_study(engine, request.get("study"), request.get("secret"))
    reply = ACTIONS[do](engine, row, request)
    if do in ("report", "export"):
        return reply
    row = organise.open_study(engine, request.get("study"), request.get("secret"))  # its status may have changed
    return organise.progress(engine, row) | reply


def _progress(engine: Engine, row: dict, request: dict) -> dict:
    return {}


def _lock(engine: Engine, row: dict, request: dict) -> dict:
    from ganlab.study import organise

    organise.lock(engine, row)
    return {}


def _unblind(engine: Engine, row: dict, request: dict) -> dict:
    from ganlab.study import organise

    organise.unblind(engine, row)
    return {}


def _restore(engine: Engine, row: dict, request: dict) -> dict:
    from ganlab.study import organise

    return {"back": organise.take_receipt(engine, row, request.get("receipt"))}


def _report(engine: Engine, row: dict, request: dict) -> dict:
    from ganlab.study import results

    return {"html": results.report(engine, row)}


def _export(engine: Engine, row: dict, request: dict) -> dict:
    from ganlab.study import results

    packed = base64.b64encode(results.export_zip(engine, row)).decode()
    return {"zip": packed, "name": f"study-{row['id']}.zip"}


ACTIONS: dict[str, Callable[[Engine, dict, dict], dict]] = {
    "progress": _progress, "lock": _lock, "unblind": _unblind, "receipt": _restore, "report": _report,
    "export": _export,
}  # fmt: skip
