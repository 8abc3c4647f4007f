"""What the Generate page asks of a generator. An answer follows from the request alone; nothing is kept of anyone.

A point of the latent space is {"seed": s, "index": k} (the k-th draw of a seed) or {"z": [...]}, with "label" and, if
it was moved along principal directions, "moves": {number: how far}.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ganlab.checkpoints import has_discriminator, list_models
from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch
from ganlab.ui.making import images_of
from ganlab.ui.wire import PRIVATE, pack_images, read_question

ASK = "gradio_api/ganlab/generate"  # also where generate.js asks
MAX_REQUEST = 2**18  # bytes
MOST = {"count": 144, "points": 16, "frames": 120, "index": 10_000, "side": 12, "steps": 21}
FIRST = "dcgan-nodules"  # if it is there
DIRECTIONS = 8
REACH = 5.0  # how far along a direction a slider goes
HELD = 64  # held-out images whose distance to the training set is the usual one
SHOWN_MAPS = 16  # feature maps of a layer


def generators() -> list[str]:
    """Names of the pretrained generators from noise, what the page opens on first."""
    names = [card["name"] for card in list_models("generate")]
    return sorted(names, key=lambda name: (name != FIRST, name))


def titled() -> list[tuple[str, str]]:
    """(what it makes, name) of each of these: a summary up to its first comma, and the name where that is not one's
    own."""
    short = {card["name"]: card["summary"].split(",")[0] for card in list_models("generate")}
    alone = [words for words, many in Counter(short.values()).items() if many == 1]
    return [(words if (words := short[name]) in alone else f"{words}: {name}", name) for name in generators()]


class Explorer:
    """A pretrained generator with what the page needs of it; made once, never changed."""

    def __init__(self, name: str):
        from ganlab.generation.data import get_kind
        from ganlab.generation.latent import principal_directions
        from ganlab.generation.trainer import load_discriminator, load_generator
        from ganlab.objectives import get_objective

        self.name = name
        self.net, self.config = load_generator(name)
        self.kind = get_kind(self.config.data)
        self.directions, self.share, _ = principal_directions(self.net, 0, 1000, layer=-1)
        self.judge = load_discriminator(name) if has_discriminator(name) else None
        self.usual: float | None = None  # distance of held-out images to the training set, once it was asked for
        self.probability = get_objective(self.config.objective).probability

    def facts(self) -> dict:
        """What generate.js has to know before it asks."""
        kind = self.kind
        return {
            "model": self.name, "title": kind.title, "size": kind.size, "mm": kind.mm, "sides": kind.sides,
            "unit": kind.unit, "low": kind.low, "high": kind.high, "windows": kind.windows, "reach": REACH,
            "classes": list(kind.classes) if self.config.network.classes else [],
            "directions": [round(float(s), 4) for s in self.share[:DIRECTIONS]],
        }  # fmt: skip

    def z(self, point: dict) -> Tensor:
        """(z,) of a point."""
        from ganlab.generation.networks import noise

        if "z" in point:
            z = torch.tensor([float(v) for v in point["z"]])
            if z.shape != (self.config.network.z,) or not torch.isfinite(z).all():
                raise InputError(f"A point has {self.config.network.z} numbers; reload the page.")
        else:
            index = whole(point, "index", 0, MOST["index"])
            z = noise(whole(point, "seed", 0, 2**32 - 1), index + 1, self.config.network)[index]
        for number, far in point.get("moves", {}).items():
            far = float(far)
            if not (0 <= int(number) < DIRECTIONS and abs(far) <= REACH):
                raise InputError(f"A step of {far:g} along direction {number} is outside +-{REACH:g}.")
            z = z + far * self.directions[int(number)]
        return z

    def labels(self, label, count: int) -> Tensor:
        """(count,) of one class, or of all in turn where label is None."""
        classes = max(1, self.config.network.classes)
        if label is None:
            return torch.arange(count) % classes
        if not 0 <= int(label) < classes:
            raise InputError(f"Class {label} is not known; reload the page.")
        return torch.full((count,), int(label))

    def images(self, z: Tensor, labels: Tensor) -> Tensor:
        from ganlab.generation.sampling import batches

        return torch.cat(list(batches(self.net, z, labels)))

    def scores(self, images: Tensor, labels: Tensor) -> list[float] | None:
        """What D takes for the probability of "real"; None where there is no D or it says nothing of the kind."""
        if self.judge is None or self.probability is None:
            return None
        with torch.inference_mode():
            return [round(p, 4) for p in self.probability(self.judge(images, labels)).tolist()]


@lru_cache(maxsize=8)
def explorer(name: str) -> Explorer:
    """Raises InputError for what is no pretrained generator."""
    if name not in generators():
        raise InputError(f'There is no generator "{name}" here; reload the page.')
    return Explorer(name)


def whole(request: dict, name: str, low: int, high: int) -> int:
    """A whole number of the request. Raises InputError outside low to high."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name.capitalize()} {value!r} is not a whole number from {low} to {high}.")
    return value


def points_of(e: Explorer, request: dict, least: int = 1) -> tuple[Tensor, Tensor]:
    """(z (K, z), labels (K,)) of the request's points, truncated by its psi."""
    points = request.get("points")
    if not isinstance(points, list) or not least <= len(points) <= MOST["points"]:
        raise InputError(f"{least} to {MOST['points']} points are wanted.")
    psi = float(request.get("psi", 1.0))
    if not 0 < psi <= 1:
        raise InputError(f"The truncation {psi:g} is outside 0 to 1.")
    labels = torch.cat([e.labels(point.get("label") or 0, 1) for point in points])
    return psi * torch.stack([e.z(point) for point in points]), labels


def gallery(e: Explorer, request: dict) -> tuple[dict, dict]:
    """`count` draws of a seed."""
    seed, count = whole(request, "seed", 0, 2**32 - 1), whole(request, "count", 1, MOST["count"])
    labels = e.labels(request.get("label"), count)
    points = [{"seed": seed, "index": k} for k in range(count)]
    from ganlab.generation.networks import noise

    z = float(request.get("psi", 1.0)) * noise(seed, count, e.config.network)
    points = [{**p, "label": int(label)} for p, label in zip(points, labels, strict=True)]
    return {"points": points}, {"images": e.images(z, labels)}


def chosen(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The points themselves, what D says of them, how long their z is."""
    z, labels = points_of(e, request)
    images = e.images(z, labels)
    norms = [round(n, 3) for n in z.norm(dim=1).tolist()]
    return {"norms": norms, "scores": e.scores(images, labels)}, {"images": images}


def between(e: Explorer, request: dict) -> tuple[dict, dict]:
    """From the first point to the second on the great circle, and on the straight line; the class is the first's."""
    from ganlab.generation.latent import lerp, slerp

    z, labels = points_of(e, request, 2)
    t = torch.linspace(0, 1, whole(request, "steps", 2, MOST["steps"]))
    ways = {"slerp": slerp(z[0], z[1], t), "lerp": lerp(z[0], z[1], t)}
    norms = {name: [round(n, 3) for n in way.norm(dim=1).tolist()] for name, way in ways.items()}
    return {"norms": norms}, {name: e.images(way, labels[:1].expand(len(t))) for name, way in ways.items()}


def sheet_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """A square between four points; the class is the first's."""
    from ganlab.generation.latent import sheet

    z, labels = points_of(e, request, 4)
    side = whole(request, "side", 2, MOST["side"])
    square = sheet(z[:4], side, side).flatten(0, 1)
    return {}, {"images": e.images(square, labels[:1].expand(len(square)))}


def walk_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """A closed walk through the points; the class is the first's. With "film" as a film of that form as well."""
    from ganlab.generation.latent import walk

    z, labels = points_of(e, request, 2)
    frames = walk(z, whole(request, "frames", 2, MOST["frames"]))
    images = e.images(frames, labels[:1].expand(len(frames)))
    head = {}
    if request.get("film"):
        from ganlab.generation.export import grey
        from ganlab.generation.films import film

        window = e.kind.windows.get(request.get("window"), next(iter(e.kind.windows.values())))
        pictures, scale = grey(e.kind.to_unit(images), window), max(1, 224 // e.kind.size)
        head["film"] = base64.b64encode(film(pictures, 20, scale, str(request["film"]))).decode()
    return head, {"images": images}


def sum_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The first point minus the second plus the third, as long as the third, and of its class."""
    from ganlab.generation.latent import arithmetic

    z, labels = points_of(e, request, 3)
    found = arithmetic(z[:1], z[1:2], z[2])
    return {"z": [round(v, 5) for v in found.tolist()]}, {"images": e.images(found[None], labels[2:3])}


def layers_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """Feature maps of the generator on its way to the first point's image, each scaled to its own range."""
    z, labels = points_of(e, request)
    with torch.inference_mode():
        maps = e.net.features(z[:1], labels[:1])
    head, arrays = [], {}
    for k, found in enumerate(maps):
        head.append({"shape": list(found.shape[1:])})
        if found.dim() == 4:
            shown = found[0, :SHOWN_MAPS]
            low, high = shown.amin((1, 2), keepdim=True), shown.amax((1, 2), keepdim=True)
            arrays[f"layer{k}"] = ((shown - low) / (high - low).clamp_min(1e-9) * 2 - 1)[:, None]
    return {"layers": head}, arrays


def neighbours_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The training images most like the first point's, their distances, and what distance held-out images have; the
    share made, while these are in the making."""
    from ganlab.generation.data import load_images
    from ganlab.generation.quality import nearest

    count = e.config.count or e.kind.count
    future, share = images_of(e.config.data, count)
    if not future.done():
        return {"made": share[-1]}, {}
    training = future.result().images
    if e.usual is None:
        held = load_images(e.kind, held_out=True, count=HELD).images
        e.usual = round(float(np.median(nearest(held, training, 1)[1])), 4)
    z, labels = points_of(e, request)
    found, distances = nearest(e.images(z[:1], labels[:1]), training, 3)
    head = {"distances": np.round(distances[0], 4).tolist(), "usual": e.usual, "count": count}
    return head, {"images": training[torch.as_tensor(found[0].copy())]}


def shares(images: Tensor) -> np.ndarray:
    """uint16 (N, H, W), 0 to 65535 for -1 to 1, of images (N, 1, H, W)."""
    return ((images[:, 0].clamp(-1, 1) + 1) * 32767.5).round().numpy().astype(np.uint16)


ANSWERS = {
    "gallery": gallery, "points": chosen, "between": between, "sheet": sheet_of, "walk": walk_of, "sum": sum_of,
    "layers": layers_of, "neighbours": neighbours_of,
}  # fmt: skip


def answer(request: dict) -> bytes:
    """uint32 length of a JSON header | header | uint16 arrays, 0 to 65535 for -1 to 1, as header["arrays"] has them."""
    try:
        e = explorer(str(request.get("model")))
        if request.get("what") not in ANSWERS:
            raise InputError("That was no question of this page; reload it.")
        head, arrays = ANSWERS[request["what"]](e, request)
    except InputError as error:
        head, arrays = {"error": str(error)}, {}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        head, arrays = {"error": "That was no question of this page; reload it."}, {}
    return pack_images(head, {name: shares(images) for name, images in arrays.items()})


def routes() -> list[Route]:
    """POST /gradio_api/ganlab/generate: a question in JSON, see `answer`."""
    pool = ThreadPoolExecutor(2, "generate", one_thread)

    async def ask(request: Request) -> Response:
        wanted = await read_question(request, MAX_REQUEST)
        if isinstance(wanted, Response):
            return wanted
        packed = await asyncio.get_running_loop().run_in_executor(pool, answer, wanted)
        return Response(packed, headers=PRIVATE)

    return [Route(f"/{ASK}", ask, methods=["POST"])]
