"""Command options that follow from a config: one option for each setting, with its help, range and default."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from ganlab.settings import Setting, number, settings_of


def with_options(config: type, *, without: Collection[str] = ()) -> Callable[[Callable], Callable]:
    """Replace the parameter of a command that is annotated with this config by an option for each of its settings,
    except `without`; the command is called with the config made of them. Invalid values end the command with the
    config's own error. Settings that are configs themselves get no option."""
    offered = [each for each in settings_of(config) if each.name not in without and each.kind in KINDS]

    def decorate(command: Callable) -> Callable:
        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        [target] = [name for name, hint in hints.items() if hint is config]
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == target:
                parameters += map(option, offered)
            else:
                kind = parameter.kind if not parameters or parameters[-1].kind == parameter.kind else KEYWORD
                parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))

        @wraps(command)
        def run(**given: Any) -> Any:
            values = {each.name: given.pop(each.name) for each in offered}
            chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
            return command(**given, **{target: config(**chosen)})

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


KINDS = (bool, int, float, str, tuple)
KEYWORD = inspect.Parameter.KEYWORD_ONLY


def option(setting: Setting) -> inspect.Parameter:
    """A setting as a parameter that typer turns into an option."""
    flag = setting.extra.get("flag") or f"--{setting.name.replace('_', '-')}"
    kind: Any = list[str] if setting.kind is tuple else setting.kind
    if setting.kind is bool and setting.default:
        flag += f"/--no-{flag[2:]}"
    default = list(setting.default) if setting.kind is tuple else setting.default
    kind = kind | None if setting.optional else kind
    annotation = Annotated[kind, typer.Option(flag, help=help_of(setting))]
    return inspect.Parameter(setting.name, KEYWORD, default=default, annotation=annotation)


def help_of(setting: Setting) -> str:
    """The help text of a setting: its description, its choices or range, and its unit."""
    words = (setting.help or setting.title).rstrip(".")
    if setting.choices:
        return f"{words}: {', '.join(map(str, setting.choices))}."
    unit = f" {setting.unit}" if setting.unit else ""
    if setting.low is not None and setting.high is not None:
        return f"{words}, {number(setting.low)} to {number(setting.high)}{unit}."
    return f"{words}, in {setting.unit}." if unit else f"{words}."
