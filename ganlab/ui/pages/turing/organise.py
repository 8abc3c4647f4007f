"""What the organiser's page may ask of the server: each request carries the study's name and secret."""

from __future__ import annotations

import base64
import hmac
import io
import tempfile
import zipfile
from dataclasses import fields
from pathlib import Path

from ganlab.checkpoints import list_models
from ganlab.errors import InputError

MAX_BYTES = 2**27  # of a request with the host's secret: a study's images in base64
MAX_REQUEST = 2**20  # of any other: a reader's receipt
MOST_READERS, MOST_CASES = 20, 400  # of a plan that is simulated while somebody waits
MOST_FILES = 2000
STUDIES = 200  # simulated for a plan
NO_HOST = (
    "Studies are created over the web only where the host has set GANLAB_HOST_SECRET; create this one on the server "
    "with python -m ganlab study create."
)


class Counter:
    """Answers the organiser. desk: has the studies' database; host: the secret by which studies may be created here,
    "" where nobody may."""

    def __init__(self, desk, host: str = ""):
        self._desk, self._host = desk, host

    def most(self, request) -> int:
        """Bytes that are read of a request: many only of one that brings the host's secret along."""
        return MAX_BYTES if self._host and self._is_host(request.headers.get("x-ganlab-host", "")) else MAX_REQUEST

    def _is_host(self, secret) -> bool:
        return hmac.compare_digest(str(secret).encode(errors="replace"), self._host.encode())

    def ask(self, request: dict) -> dict:
        """request: `do` with progress, lock, unblind, report, export, receipt (`receipt`), `study` and `secret`; or
        options, plan (`readers`, `count`, `margin`) or create (`host`, `protocol`, and `model` with `count`, or `real`
        and `synthetic` files)."""
        do = request.get("do")
        try:
            if do == "options":
                return {"models": [card["name"] for card in list_models("generate")], "web": bool(self._host)}
            if do == "plan":
                return planned(request)
            if do == "create":
                return self._create(request)
            if do not in ("progress", "lock", "unblind", "report", "export", "receipt"):
                raise InputError("That is nothing that can be asked here; reload the page.")
            return self._manage(do, request)
        except InputError as error:
            return {"error": str(error)}

    def _manage(self, do: str, request: dict) -> dict:
        from ganlab.study import organise, results

        engine, words = self._desk.engine, (request.get("study"), request.get("secret"))
        row = organise.open_study(engine, *words)
        if do == "report":
            return {"html": results.report(engine, row)}
        if do == "export":
            with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
                files = results.export(engine, row, Path(folder))
                packed = base64.b64encode(zipped(Path(folder), files.values())).decode()
            return {"zip": packed, "name": f"study-{row['id']}.zip"}
        told = {}
        if do == "lock":
            organise.lock(engine, row)
        if do == "unblind":
            organise.unblind(engine, row)
        if do == "receipt":
            told = {"back": organise.take_receipt(engine, row, request.get("receipt"))}
        return organise.progress(engine, organise.open_study(engine, *words)) | told

    def _create(self, request: dict) -> dict:
        from ganlab.study import organise

        if not self._host:
            raise InputError(NO_HOST)
        if not self._is_host(request.get("host")):
            raise InputError("This is not the host's secret.")
        protocol = protocol_of(request.get("protocol"))
        with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
            found = stimuli_of(request, Path(folder))
        created = organise.create(self._desk.engine, protocol, found)
        return {"study": created.study, "secret": created.secret, "seal": created.seal}


def planned(request: dict) -> dict:
    """What so many readers and images could conclude if readers cannot tell, in sentences. Raises InputError."""
    from ganlab.study.design.planning import format_plan, plan
    from ganlab.study.design.simulation import SimulatedReaders

    readers, count, margin = (request.get(name) for name in ("readers", "count", "margin"))
    if type(readers) is not int or type(count) is not int or not isinstance(margin, int | float):
        raise InputError("Readers and images are whole numbers, the margin is a number.")
    if readers > MOST_READERS or count > MOST_CASES or not 0 < margin < 1:
        raise InputError(
            f"More than {MOST_READERS} readers or {MOST_CASES} images take long to simulate: python -m ganlab study "
            "plan."
        )
    return {"words": format_plan(plan(SimulatedReaders(readers, count - count % 2, 0.0), float(margin), STUDIES))}


def zipped(folder: Path, files) -> bytes:
    """Files of a folder in one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, Path(file).relative_to(folder))
    return packed.getvalue()


def protocol_of(values):
    """The protocol that a form describes. Raises InputError for values of other kinds."""
    from ganlab.study.design.protocol import Protocol

    if not isinstance(values, dict):
        raise InputError("The protocol is missing; reload the page.")
    kinds = {"groups": (list, tuple), "prevalence": bool, "race": bool}
    found = {}
    for field in fields(Protocol):
        if field.name in values:
            value, usual = values[field.name], field.default
            good = kinds.get(field.name) or ((int, float) if isinstance(usual, float) else type(usual))
            if not isinstance(value, good) or (good is int and isinstance(value, bool)):
                raise InputError(f'{field.name} is "{str(value)[:20]}"; give {type(usual).__name__} there.')
            found[field.name] = tuple(map(str, value)) if field.name == "groups" else value
    return Protocol(**found)


def stimuli_of(request: dict, folder: Path):
    """The images of a request, of a generator or of uploaded files. Raises InputError."""
    if model := request.get("model"):
        return from_generator(str(model), request.get("count"))
    from ganlab.study.design.stimuli import from_folders

    for arm in ("real", "synthetic"):
        _write(request.get(arm), folder / arm)
    size = request.get("size") or None
    if size is not None and type(size) is not int:
        raise InputError(f'A size of "{str(size)[:20]}" is no number of pixels.')
    return from_folders(folder / "real", folder / "synthetic", size=size)


def from_generator(model: str, count) -> object:
    """Half images of a pretrained generator, half held-out ones of what it learned. Raises InputError."""
    import secrets

    from ganlab.generation.mixed_images import mix_images
    from ganlab.study.design.stimuli import from_mixed

    if type(count) is not int:
        raise InputError(f'"{str(count)[:20]}" is no number of images.')
    mixed = mix_images(model, count, secrets.randbits(32))
    return from_mixed(mixed.images, mixed.truth)


def _write(files, folder: Path) -> None:
    folder.mkdir()
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise InputError(f"Give up to {MOST_FILES:,} {folder.name} images.")
    for k, file in enumerate(files):
        try:
            name, data = Path(str(file["name"])).name, base64.b64decode(file["data"], validate=True)
            (folder / f"{k:04d}-{name[-80:]}").write_bytes(data)
        except (KeyError, TypeError, ValueError, OSError):
            raise InputError("A file did not arrive whole, or its name is none; try again.") from None
