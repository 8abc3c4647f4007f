"""Settings as a command line gives them, NAME=VALUE, and a configuration with them."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

from ganlab.errors import InputError


def parse_settings(settings: list[str]) -> dict:
    """["batch=128", "generator.units=64"] -> {"batch": 128, "generator": {"units": 64}}. Raises InputError."""
    values: dict = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f'Setting "{text}" is not NAME=VALUE, such as batch=128.')
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value  # a name, such as relu
        outer, _, inner = name.strip().partition(".")
        if inner:
            earlier = values.get(outer)
            values[outer] = (earlier if isinstance(earlier, dict) else {}) | {inner: parsed}
        else:
            values[outer] = parsed
    return values


def with_settings(config, values: dict):
    """A frozen dataclass with what parse_settings found. Raises InputError for a name that it has not and for a value
    of another kind than its own; whether the whole can be used is for others to check."""
    kinds = get_type_hints(type(config))
    known = [f.name for f in fields(config)]
    if unknown := [name for name in values if name not in known]:
        raise InputError(f"Setting {', '.join(unknown)} is not known; choose from {', '.join(known)}.")
    return replace(
        config, **{name: _of_kind(name, value, getattr(config, name), kinds[name]) for name, value in values.items()}
    )


def _of_kind(name: str, value, now, kind):
    if is_dataclass(now) and isinstance(value, dict):
        return with_settings(_part(now, kind, value), value)
    found = _tuples(value)
    if not is_dataclass(now) and _fits(found, kind):
        return found
    wanted = f"its parts, as {name}.{fields(now)[0].name}" if is_dataclass(now) else _words(kind)
    raise InputError(f"Setting {name} is {json.dumps(value)}; give {wanted}.")


def _part(now, kind, values: dict):
    """What these settings are of: what is there, or another that may be in its place, if it alone has all of them."""
    others = [each for each in get_args(kind) if is_dataclass(each)]
    of = [each for each in (type(now), *others) if values.keys() <= {f.name for f in fields(each)}]
    return now if not of or of[0] is type(now) else of[0]()


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _fits(value, kind) -> bool:
    of = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, each) for each in of)
    if get_origin(kind) is tuple:
        kinds = of[:1] * len(value) if isinstance(value, tuple) and of[-1] is ... else of
        return isinstance(value, tuple) and len(kinds) == len(value) and all(map(_fits, value, kinds))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _words(kind) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_words, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"as {_example(kind)}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a name", NoneType: "null"}[kind]


def _example(kind) -> str:
    if get_origin(kind) is tuple:
        return f"[{', '.join(_example(each) for each in get_args(kind) if each is not ...)}]"
    return {int: "24", float: "0.5", str: '"flip"'}[kind]


def as_settings(config, base, outer: str = "") -> list[str]:
    """What makes `config` of `base`, as parse_settings reads it."""
    found = []
    for name in (f.name for f in fields(config)):
        value, usual = getattr(config, name), getattr(base, name)
        if is_dataclass(value):
            found += as_settings(value, usual, f"{outer}{name}.")
        elif value != usual:
            found.append(f"{outer}{name}={value if isinstance(value, str) else json.dumps(value)}")
    return found
