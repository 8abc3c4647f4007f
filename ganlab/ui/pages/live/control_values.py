"""The values of the controls as a dictionary by name, and the game that they describe."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path

from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.toy.config import SHAPING, Config, Network
from ganlab.toy.files import read_own
from ganlab.toy.session import Session
from ganlab.toy.session_io import load
from ganlab.ui.controls import as_declared
from ganlab.ui.pages.live.lessons import CHANGES, EIGHT, ONE, TWINS
from ganlab.ui.pages.live.sessions import Live

OWN = "own"  # the visitor's own data
USUAL_TWIN = "Minimax (saturating)"
PLAYERS = {"g": "generator", "d": "discriminator"}  # prefix of a control -> the network it belongs to
DECLARED = {  # setting of a control, by the control's name
    **{field.name: setting(Config, field.name) for field in fields(Config)},
    **{f"{p}_{field.name}": setting(Network, field.name) for p in PLAYERS for field in fields(Network)},
}


def control_values(configs: tuple[Config, ...], own: bool = False) -> dict:
    """What the controls show for a game or twins; own: on the visitor's data. Network settings are named g_units,
    d_units and so on."""
    config, twin = configs[0], configs[-1]
    values = {name: v for name, v in asdict(config).items() if name not in ("generator", "discriminator", "runs")}
    for prefix, player in PLAYERS.items():
        values |= {f"{prefix}_{name}": v for name, v in asdict(getattr(config, player)).items()}
    del values["g_spectral"]  # for D only
    values["view"] = TWINS if len(configs) == 2 else EIGHT if config.runs > 1 else ONE
    if own:
        values["data"] = OWN
    matching = (name for name, change in CHANGES.items() if config_of(values | change) == twin)
    values["twin"] = next(matching, None) if len(configs) == 2 else USUAL_TWIN
    return values


USUAL = control_values((Config(),))


def config_of(values: dict) -> Config:
    """The config that the controls describe. Raises InputError."""
    plain = {f.name: setting_value(f.name, values[f.name]) for f in fields(Config) if f.name in values}
    if plain["data"] == OWN:
        plain["data"] = Config().data  # replaced by the visitor's data
    for prefix, player in PLAYERS.items():
        names = {field.name: f"{prefix}_{field.name}" for field in fields(Network)}
        changed = {part: setting_value(name, values[name]) for part, name in names.items() if name in values}
        plain[player] = replace(getattr(Config(), player), **changed)
    return Config(**plain, runs=8 if values["view"] == EIGHT else 1)


def setting_value(name: str, value):
    """A control's value in the type of its setting: browsers do not distinguish 5 and 5.0."""
    return as_declared(DECLARED[name], value)


def configs_of(values: dict) -> tuple[Config, ...]:
    """The config of one game, or those of twins that differ in one thing. Raises InputError."""
    if values["view"] != TWINS:
        return (config_of(values),)
    if values["twin"] not in CHANGES:
        raise InputError("Choose how the twin differs.")
    return config_of(values), config_of(values | CHANGES[values["twin"]])


def adopt(live: Live, values: dict) -> None:
    """Apply the controls' settings to the game: while it runs if possible, else by a restart. Raises InputError, with
    nothing changed."""
    new_configs = configs_of(values)
    session = live.session
    own = session.data is not None
    if values["data"] == OWN and not own:
        raise InputError("No data yet: draw on the plane, or open a table or an image.")
    live.fork()
    current = [game.config for game in session.games]
    shaping = [name for name in SHAPING if name != "data" or not own]
    same_games = len(new_configs) == len(current) and own == (values["data"] == OWN)
    if not same_games or any(
        getattr(new, name) != getattr(old, name)
        for new, old in zip(new_configs, current, strict=True)
        for name in shaping
    ):
        begin(live, new_configs, values, session.playing)
        return
    for k, (new, old) in enumerate(zip(new_configs, current, strict=True)):
        changed = {f.name: getattr(new, f.name) for f in fields(Config) if getattr(new, f.name) != getattr(old, f.name)}
        if own:
            changed.pop("data", None)
        if changed:
            session.change(k if len(current) == 2 else None, **changed)


def begin(live: Live, configs: tuple[Config, ...], values: dict, playing: bool) -> None:
    """Start again; on the same data if they are the visitor's own."""
    own = values["data"] == OWN
    session = Session(configs, live.session.data if own else None, live.session.drawn if own else None)
    session.playing = playing
    live.start(session)


def start_from_file(live: Live, path: Path) -> None:
    """Continue a saved run, or start again on the visitor's table or picture. Raises InputError."""
    if path.suffix.lower() == ".safetensors":
        session = load(path)
    else:
        session = Session(tuple(game.config for game in live.session.games), read_own(path))
    live.start(session)
