"""What the Generate page asks of a generator. An answer follows from the request alone; nothing is kept of anyone.

A point of the latent space is {"seed": s, "index": k} (the k-th draw of a seed) or {"z": [...]}, with "label" or with
"mix", shares of all classes, and, if sliders moved it, "moves": {"3": how far along a principal direction, "z7": how
far in one number of z}.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from starlette.routing import Route

from ganlab.checkpoints import has_discriminator, list_models
from ganlab.device import one_thread
from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch
from ganlab.ui.live_protocol import MALFORMED, NOT_OURS, Answer, in_threads, live_route
from ganlab.ui.pages.generate.image_cache import images_of

PATH = "gradio_api/ganlab/generate"  # also in latent_space.js
MAX_REQUEST = 2**18  # bytes
MOST = {"count": 144, "points": 16, "frames": 120, "index": 10_000, "side": 12, "steps": 21}
FIRST = "dcgan-nodules"  # if it is there
DIRECTIONS = 8
REACH = 5.0  # how far along a direction a slider goes
HELD = 64  # held-out images whose distance to the training set is the usual one
SHOWN_MAPS = 16  # feature maps of a layer
STRIP = 12  # images in a row of a walk's strip


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
        from ganlab.generation.image_kinds import get_kind
        from ganlab.generation.latent import principal_directions
        from ganlab.generation.loading import load_discriminator, load_generator
        from ganlab.objectives import get_objective

        self.name = name
        self.net, self.config = load_generator(name)
        self.kind = get_kind(self.config.data)
        self.classes = max(1, self.config.network.classes)
        self.directions, self.share, _ = principal_directions(self.net, 0, 1000, layer=-1)
        self.judge = load_discriminator(name) if has_discriminator(name) else None
        self.usual: float | None = None  # distance of held-out images to the training set, once it was asked for
        self.probability = get_objective(self.config.objective).probability

    def facts(self) -> dict:
        """What latent_space.js has to know before it asks."""
        kind = self.kind
        return {
            "model": self.name, "title": kind.title, "size": kind.size, "mm": kind.mm, "sides": kind.sides,
            "unit": kind.unit, "low": kind.low, "high": kind.high, "windows": kind.windows, "z": self.config.network.z,
            "reach": REACH,
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
        for name, far in point.get("moves", {}).items():
            z = z + self.step(name, float(far))
        return z

    def step(self, name: str, far: float) -> Tensor:
        """(z,) that a slider adds: along a principal direction, or to one number of z alone."""
        single, count = name.startswith("z"), self.config.network.z
        number, known = int(name.removeprefix("z")), count if single else DIRECTIONS
        if not (0 <= number < known and abs(far) <= REACH):
            raise InputError(f"A step of {far:g} along direction {name} is outside +-{REACH:g}.")
        return far * (torch.eye(count)[number] if single else self.directions[number])

    def labels(self, label, count: int) -> Tensor:
        """(count,) of one class, or of all in turn where label is None."""
        if label is None:
            return torch.arange(count) % self.classes
        if not 0 <= int(label) < self.classes:
            raise InputError(f"Class {label} is not known; reload the page.")
        return torch.full((count,), int(label))

    def mix(self, point: dict) -> Tensor:
        """(classes,) shares of a point's classes."""
        if "mix" not in point:
            return torch.eye(self.classes)[self.labels(point.get("label") or 0, 1)[0]]
        mix = torch.tensor([float(v) for v in point["mix"]])
        if mix.shape != (self.classes,) or not (mix >= 0).all() or not abs(float(mix.sum()) - 1) < 0.01:
            raise InputError(f"A point has shares of {self.classes} classes that add up to 1; reload the page.")
        return mix

    def knows(self, point) -> bool:
        """Whether that is a point of this latent space."""
        try:
            return len(self.z(point)) + len(self.mix(point)) > 0
        except (InputError, *MALFORMED):
            return False

    def images(self, z: Tensor, labels: Tensor) -> Tensor:
        from ganlab.generation.sampling import batches

        return torch.cat(list(batches(self.net, z, labels)))

    def scores(self, images: Tensor, mixes: Tensor) -> list[float] | None:
        """What D takes for the probability of "real", given the class that has most; None where there is no D or it
        says nothing of the kind."""
        if self.judge is None or self.probability is None:
            return None
        with torch.inference_mode():
            return [round(p, 4) for p in self.probability(self.judge(images, mixes.argmax(1))).tolist()]


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
    """(z (K, z), shares of classes (K, classes)) of the request's points; z is truncated by its psi."""
    points = request.get("points")
    if not isinstance(points, list) or not least <= len(points) <= MOST["points"]:
        raise InputError(f"{least} to {MOST['points']} points are wanted.")
    return psi_of(request) * torch.stack([e.z(point) for point in points]), torch.stack([e.mix(p) for p in points])


def psi_of(request: dict) -> float:
    psi = float(request.get("psi", 1.0))
    if not 0 < psi <= 1:
        raise InputError(f"The truncation {psi:g} is outside 0 to 1.")
    return psi


def written(request: dict, z: Tensor, mixes: Tensor) -> list[dict]:
    """Points as the page may ask for them again, with the same psi."""
    found = zip((z / psi_of(request)).tolist(), mixes.tolist(), strict=True)
    return [
        {"z": [round(v, 4) for v in at], **({"label": mix.index(1.0)} if 1.0 in mix else {"mix": mix})}
        for at, mix in found
    ]


def gallery(e: Explorer, request: dict) -> tuple[dict, dict]:
    """`count` draws of a seed."""
    from ganlab.generation.networks import noise

    seed, count = whole(request, "seed", 0, 2**32 - 1), whole(request, "count", 1, MOST["count"])
    labels = e.labels(request.get("label"), count)
    z = psi_of(request) * noise(seed, count, e.config.network)
    points = [{"seed": seed, "index": k, "label": int(label)} for k, label in enumerate(labels)]
    return {"points": points}, {"images": e.images(z, labels)}


def chosen(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The points themselves, what D says of them, how long their z is."""
    z, mixes = points_of(e, request)
    images = e.images(z, mixes)
    norms = [round(n, 3) for n in z.norm(dim=1).tolist()]
    return {"norms": norms, "scores": e.scores(images, mixes)}, {"images": images}


def between(e: Explorer, request: dict) -> tuple[dict, dict]:
    """From the first point to the second on the great circle, and on the straight line; classes blend on the way."""
    from ganlab.generation.latent import lerp, slerp

    z, mixes = points_of(e, request, 2)
    t = torch.linspace(0, 1, whole(request, "steps", 2, MOST["steps"]))
    ways = {"slerp": slerp(z[0], z[1], t), "lerp": lerp(z[0], z[1], t)}
    blend = lerp(mixes[0], mixes[1], t)
    norms = {name: [round(n, 3) for n in way.norm(dim=1).tolist()] for name, way in ways.items()}
    points = [point for way in ways.values() for point in written(request, way, blend)]
    return {"norms": norms, "points": points}, {name: e.images(way, blend) for name, way in ways.items()}


def sheet_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """A square between four points, their classes blended."""
    from ganlab.generation.latent import lerp, sheet

    z, mixes = points_of(e, request, 4)
    side = whole(request, "side", 2, MOST["side"])
    t = torch.linspace(0, 1, side)
    square = sheet(z[:4], side, side).flatten(0, 1)
    blend = lerp(lerp(mixes[0], mixes[1], t), lerp(mixes[2], mixes[3], t), t).flatten(0, 1)
    return {"points": written(request, square, blend)}, {"images": e.images(square, blend)}


def walk_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """A closed walk through the points, their classes blended on the way; with "film" as a film of that form instead,
    or as a strip."""
    from ganlab.generation.latent import walk, walk_segments

    z, mixes = points_of(e, request, 2)
    count = whole(request, "frames", 2, MOST["frames"])
    here, there, t = walk_segments(len(z), count)
    frames = walk(z, count)
    images = e.images(frames, torch.lerp(mixes[here], mixes[there], t))
    if request.get("film"):
        from ganlab.generation.export import grey
        from ganlab.generation.films import film, strip

        window = e.kind.windows.get(request.get("window"), next(iter(e.kind.windows.values())))
        pictures, scale = grey(e.kind.to_unit(images), window), max(1, 224 // e.kind.size)
        form = str(request["film"])
        return {}, {"film": strip(pictures, STRIP) if form == "strip" else film(pictures, 20, scale, form)}
    return {}, {"images": images}


def sum_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The first point minus the second plus the third, as long as the third; classes likewise, to shares again."""
    from ganlab.generation.latent import arithmetic

    z, mixes = points_of(e, request, 3)
    found = arithmetic(z[:1], z[1:2], z[2])[None]
    mix = (mixes[0] - mixes[1] + mixes[2]).clamp_min(0)[None]
    mix = mix / mix.sum()
    return {"points": written(request, found, mix)}, {"images": e.images(found, mix)}


def layers_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """Feature maps on the way to the first point's image, each from its darkest to its brightest."""
    z, mixes = points_of(e, request)
    with torch.inference_mode():
        maps = e.net.features(z[:1], mixes[:1])
    head, arrays = [], {}
    for k, found in enumerate(maps):
        head.append({"shape": list(found.shape[1:])})
        if found.dim() == 4:
            shown = found[0, :SHOWN_MAPS]
            low, high = shown.amin((1, 2), keepdim=True), shown.amax((1, 2), keepdim=True)
            arrays[f"layer{k}"] = ((shown - low) / (high - low).clamp_min(1e-9) * 2 - 1)[:, None]
    return {"layers": head}, arrays


def verdict_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """D's logit of the first point, and the map of what moves it, -1 to 1 for its greatest value "reach" either way."""
    from ganlab.generation.occlusion import occlusion_map

    if e.judge is None:
        return {}, {}
    z, mixes = points_of(e, request)
    score, moved = occlusion_map(e.judge, e.images(z[:1], mixes[:1]), mixes[:1].argmax(1))
    reach = max(float(moved.abs().max()), 1e-6)
    return {"score": round(score, 3), "reach": round(reach, 3)}, {"map": (moved / reach)[None, None]}


def neighbours_of(e: Explorer, request: dict) -> tuple[dict, dict]:
    """The training images most like the points', three of a single one, one of each of several; their distances, and
    what distance held-out images have; the share made, while these are in the making."""
    from ganlab.generation.image_kinds import load_images
    from ganlab.generation.image_similarity import nearest

    count = e.config.count or e.kind.count
    future, share = images_of(e.config.data, count)
    if not future.done():
        return {"made": share[-1]}, {}
    training = future.result().images
    if e.usual is None:
        held = load_images(e.kind, held_out=True, count=HELD).images
        e.usual = round(float(np.median(nearest(held, training, 1)[1])), 4)
    z, mixes = points_of(e, request)
    found, distances = nearest(e.images(z, mixes), training, 3 if len(z) == 1 else 1)
    head = {"distances": np.round(distances.ravel(), 4).tolist(), "usual": e.usual, "count": count}
    return head, {"images": training[torch.as_tensor(found.ravel().copy())]}


def shares(images: Tensor) -> np.ndarray:
    """uint16 (N, H, W), 0 to 65535 for -1 to 1, of images (N, 1, H, W)."""
    return ((images[:, 0].clamp(-1, 1) + 1) * 32767.5).round().numpy().astype(np.uint16)


ANSWERS = {
    "gallery": gallery, "points": chosen, "between": between, "sheet": sheet_of, "walk": walk_of, "sum": sum_of,
    "layers": layers_of, "neighbours": neighbours_of, "verdict": verdict_of,
}  # fmt: skip


def answer(request: dict) -> Answer:
    """Facts, and uint16 arrays (N, H, W) of 0 to 65535 for -1 to 1. Raises InputError and MALFORMED."""
    e = explorer(str(request.get("model")))
    if request.get("what") not in ANSWERS:
        raise InputError(NOT_OURS)
    facts, arrays = ANSWERS[request["what"]](e, request)
    return facts, {name: array if isinstance(array, bytes) else shares(array) for name, array in arrays.items()}


def routes() -> list[Route]:
    """POST PATH: a question in JSON, see `answer`."""
    pool = ThreadPoolExecutor(2, "generate", one_thread)
    return [live_route(PATH, in_threads(pool, answer), MAX_REQUEST)]
