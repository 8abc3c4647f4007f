"""Settings, each declared once: the field of a frozen config has its type, range, default and help, and command
options, page controls, links, files and error sentences are derived from it.

    @frozen_config
    class Readers:
        \"\"\"Simulated readers.\"\"\"

        count: int = Field(4, ge=1, le=200, title="Readers", description="How many readers read every case.")
        design: Annotated[str, OneOf(DESIGNS)] = Field("yes-no", title="Design", description="What readers are asked.")

A config refuses invalid values with an InputError: `Readers(count=0)` raises "Readers is 0; give a whole number from 1
to 200 (default 4)." Types are strict: no text for a number, no true for 1, no NaN. Rules that involve several fields
belong in `__post_init__`, which may raise InputError itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, cast, dataclass_transform, get_args, get_origin, get_type_hints

import pydantic
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from ganlab.errors import InputError

C = TypeVar("C")
SHOWN = 60  # characters of a refused value in its sentence
STRAY = ("unexpected_keyword_argument", "unexpected_positional_argument")


def Field(
    default: Any = ..., *, unit: str = "", step: float | None = None, extra: dict | None = None, **rules: Any
) -> Any:
    """pydantic's Field (default or default_factory, ge, gt, le, lt, title, description), and what pages need: the unit,
    the step of a slider, and anything else that goes with the setting (`extra`)."""
    return pydantic.Field(default, json_schema_extra={"unit": unit, "step": step, **(extra or {})}, **rules)


@dataclass(frozen=True)
class OneOf:
    """Annotated[str, OneOf(NAMES)]: one of these values. A mapping gives each value the label that pages show. A
    function is called when a value is checked, for names that need a slow import."""

    among: Iterable | Callable[[], Iterable]

    @property
    def labels(self) -> dict[Any, str]:
        """Value -> label, in order."""
        among = self.among() if callable(self.among) else self.among
        if isinstance(among, Mapping) and all(isinstance(label, str) for label in among.values()):
            return dict(among)
        return {value: str(value) for value in among}

    def _check(self, value: Any) -> Any:
        if value is not None and value not in self.labels:  # the type decides whether None is allowed
            raise PydanticCustomError("one_of", "not one of them")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))


class Setting(NamedTuple):
    """The declaration of one setting. low, high: bounds, or None. choices: value -> label, empty where any value of the
    type will do. optional: None is allowed, and means what the help says."""

    name: str
    title: str
    help: str
    kind: type
    default: Any
    low: float | None
    high: float | None
    choices: dict[Any, str]
    unit: str
    step: float | None
    optional: bool
    example: str
    extra: dict

    @property
    def wanted(self) -> str:
        """What may be given, as the end of a sentence: "a whole number from 1 to 200 (default 4)"."""
        if self.choices:
            words = "one of " + ", ".join(map(str, self.choices))
        elif self.kind is tuple:
            words = f"a list such as {json.dumps(self.default) if self.default else self.example}"
        else:
            words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(self.kind, "")
            words = words or "its parts by name"
        if self.kind in (int, float) and not self.choices:
            low, high = (None if bound is None else number(bound) for bound in (self.low, self.high))
            if low is not None and high is not None:
                words += f" from {low} to {high}"
            elif low is not None or high is not None:
                words += f" of at least {low}" if high is None else f" of at most {high}"
            bounded = low is not None or high is not None
            words += f" {self.unit}" if self.unit and bounded else f" in {self.unit}" if self.unit else ""
        plain = (
            isinstance(self.default, int | float | str) and self.default != "" and not isinstance(self.default, bool)
        )
        if plain:
            words += f" (default {number(self.default)})"
        if self.optional:
            words += ", or leave it out" if self.default is None else ", or null"
        return words


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def frozen_config(cls: type[C]) -> type[C]:
    """Turn a class into a frozen, strict dataclass whose constructor raises InputError for invalid values."""
    rules = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    config_class = pydantic.dataclasses.dataclass(frozen=True, config=rules)(cls)
    validated = config_class.__init__

    @wraps(validated)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            validated(self, *args, **values)
        except ValidationError as error:
            raise refusal(config_class, error) from error

    config_class.__init__ = init  # type: ignore[method-assign]
    return config_class  # type: ignore[return-value]


def setting(cls: type, name: str) -> Setting:
    """The declaration of a config's setting; "network.width" is a setting of the nested config `network`. Raises
    LookupError if there is none."""
    outer, _, inner = name.partition(".")
    if inner:
        return setting(_parts(get_type_hints(cls)[outer])[0], inner)._replace(name=name)
    declared = _declared(cls)[name]
    kinds = [kind for kind in _members(declared.annotation) if kind is not NoneType]
    rules = [*declared.metadata, *_annotations(get_type_hints(cls, include_extras=True)[name])]

    def rule(*names: str) -> float | None:
        bounds = [getattr(rule, each) for rule in rules for each in names if getattr(rule, each, None) is not None]
        return bounds[0] if bounds else None

    extra: dict[str, Any] = dict(cast(dict, declared.json_schema_extra) or {})
    return Setting(
        name=name,
        title=declared.title or name.replace("_", " ").capitalize(),
        help=declared.description or "",
        kind=get_origin(kinds[0]) or kinds[0],
        default=declared.get_default(call_default_factory=True),
        low=rule("ge", "gt"),
        high=rule("le", "lt"),
        choices=next((rule.labels for rule in rules if isinstance(rule, OneOf)), {}),
        unit=extra.pop("unit", ""),
        step=extra.pop("step", None),
        optional=NoneType in _members(declared.annotation),
        example=extra.pop("example", "") or _example(kinds[0]),
        extra=extra,
    )


def settings_of(cls: type) -> list[Setting]:
    """Every setting of a config, in order of declaration."""
    return [setting(cls, field.name) for field in fields(cls)]


def from_values(cls: type[C], values: object) -> C:
    """A config from the JSON values of a link, a file or a request; missing settings take their defaults. Raises
    InputError if `values` is not an object, for unknown names and for invalid values."""
    if not isinstance(values, dict):
        raise InputError(f"The settings are {_shown(values)}; give an object of names and values.")
    return _validated(cls, _merged(cls, _defaults(cls), values))


def with_settings(config: C, values: dict) -> C:
    """A config with these settings changed, as `parse_settings` returns them. Raises InputError as `from_values`
    does."""
    return _validated(type(config), _merged(type(config), _plain(config), values))


def changes(config: Any) -> dict:
    """The settings that differ from their defaults, for links and files; `from_values` reads them."""
    usual = _defaults(type(config))
    return {name: value for name, value in _plain(config).items() if name not in usual or value != usual[name]}


def parse_settings(settings: list[str]) -> dict:
    """["batch=128", "generator.units=64"] -> {"batch": 128, "generator": {"units": 64}}. Raises InputError."""
    values: dict = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
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


def as_settings(config: Any, base: Any, outer: str = "") -> list[str]:
    """The settings that turn `base` into `config`, as text that `parse_settings` reads."""
    texts = []
    for name in (f.name for f in fields(config)):
        value, usual = getattr(config, name), getattr(base, name)
        if is_dataclass(value):
            texts += as_settings(value, usual, f"{outer}{name}.")
        elif value != usual:
            texts.append(f"{outer}{name}={value if isinstance(value, str) else json.dumps(value)}")
    return texts


def refusal(cls: type, error: ValidationError) -> InputError:
    """The first thing that is wrong with a config, in one sentence."""
    errors = error.errors()
    # A nested config of several possible classes has errors from each; unknown names among them say little.
    first = next((each for each in errors if each["type"] not in STRAY), errors[0])
    if isinstance(cause := first.get("ctx", {}).get("error"), InputError):
        return cause
    titles, places, declared = [], [cls], None
    for part in first["loc"]:
        named = [place for place in places if place.__name__ == part]
        holder = next((place for place in named or places if named or _names(place).get(part)), None)
        if holder is None:
            break  # an item of a list, or an unknown name
        if named:
            places = named
            continue
        declared = setting(holder, _names(holder)[part])
        titles.append(declared.title)
        places = _parts(get_type_hints(holder)[declared.name])
    if first["type"] in STRAY:
        return _unknown([str(first["loc"][-1])], cls)
    if declared is None:
        return InputError(f"These settings cannot be used: {first['msg']}.")
    value = None if first["type"] == "missing" else first["input"]
    verb = "holds" if isinstance(first["loc"][-1], int) and len(first["loc"]) > len(titles) else "is"
    return InputError(f"{': '.join(titles)} {verb} {_shown(value)}; give {declared.wanted}.")


def number(value: Any) -> str:
    """A number as text, without a trailing ".0"; anything else as `str` gives it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _names(cls: type) -> dict[str | int, str]:
    """A config's settings by name and by position."""
    names = [field.name for field in fields(cls)]
    return {**{name: name for name in names}, **dict(enumerate(names))}


def _unknown(names: list[str], cls: type) -> InputError:
    known = ", ".join(field.name for field in fields(cls))
    return InputError(f"Setting {', '.join(names)} is not known; choose from {known}.")


def _validated(cls: type[C], values: dict) -> C:
    try:
        text = json.dumps(values)  # by JSON's rules a list may become a tuple and 1 a float, but text is not a number
    except (TypeError, ValueError) as error:
        raise InputError(f"The settings hold values that JSON cannot represent ({error}).") from error
    try:
        return TypeAdapter(cls).validate_json(text, strict=True)
    except ValidationError as error:
        raise refusal(cls, error) from error


def _merged(cls: type, base: dict, values: dict) -> dict:
    known = {field.name for field in fields(cls)}
    if unknown := [str(name) for name in values if name not in known]:
        raise _unknown(unknown, cls)
    hints, merged = get_type_hints(cls), dict(base)
    for name, value in values.items():
        parts = _parts(hints[name])
        if not (parts and isinstance(value, dict)):
            merged[name] = value
            continue
        # the nested config's current class if it has these settings, else the first class that has them
        current = [
            part for part in parts if base.get(name) and set(base[name]) == {field.name for field in fields(part)}
        ]
        fitting = [part for part in current + parts if set(value) <= {field.name for field in fields(part)}]
        part = (fitting or current or parts)[0]
        merged[name] = _merged(part, base[name] if part in current else _defaults(part), value)
    return merged


def _plain(value: Any) -> Any:
    """Configs as dictionaries and tuples as lists, as in JSON."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _declared(cls: type) -> dict[str, FieldInfo]:
    """Fields by name; those of a plain dataclass inside a config have only a type and a default."""
    if declared := getattr(cls, "__pydantic_fields__", None):
        return declared
    hints = get_type_hints(cls, include_extras=True)
    return {
        f.name: FieldInfo.from_annotated_attribute(
            hints[f.name], f.default if f.default_factory is MISSING else f.default_factory()
        )
        for f in fields(cls)
    }


def _defaults(cls: type) -> dict:
    """Plain defaults of the settings that have one."""
    usual = {k: f.get_default(call_default_factory=True) for k, f in _declared(cls).items() if not f.is_required()}
    return {name: _plain(value) for name, value in usual.items()}


def _members(kind: Any) -> tuple:
    if get_origin(kind) in (Union, UnionType):
        return tuple(inner for each in get_args(kind) for inner in _members(each))
    return _members(get_args(kind)[0]) if hasattr(kind, "__metadata__") else (kind,)


def _annotations(kind: Any) -> list:
    if hasattr(kind, "__metadata__"):
        return [*kind.__metadata__, *_annotations(get_args(kind)[0])]
    return (
        [rule for each in get_args(kind) for rule in _annotations(each)]
        if get_origin(kind) in (Union, UnionType)
        else []
    )


def _parts(kind: Any) -> list[type]:
    """The nested config classes among the types that a setting may have."""
    return [each for each in _members(kind) if isinstance(each, type) and is_dataclass(each)]


def _example(kind: Any) -> str:
    """An example value of a type, as JSON."""
    [kind, *_] = _members(kind)
    if get_origin(kind) is tuple:
        return f"[{', '.join(_example(each) for each in get_args(kind) if each is not ...)}]"
    return {int: "24", float: "0.5", bool: "true"}.get(kind, '"name"')


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value[:SHOWN]}"'
    try:
        return json.dumps(_plain(value))[:SHOWN]
    except (TypeError, ValueError):
        return str(value)[:SHOWN]
