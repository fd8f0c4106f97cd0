"""A configuration: a TOML file whose every key knows its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..ground.arguments import shown
from ..ground.errors import HmmError, InvalidParameterError

__all__ = ["Config", "ConfigError", "Table", "read"]

#: "[a.b]", "[[a.b]]", and "key =" at the beginning of a line.
_HEADER = re.compile(r"\s*\[\[?([^\[\]#]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_STRING = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*$|[\[\]{}]')
#: A key of more parts than any table here is deep: tomllib takes their number squared, and more.
_DEEP = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""")
#: Bytes of the largest file: thousands of times what a configuration says, and read in no time.
_LARGEST = 1 << 20
#: What an error of ours says first: the argument, perhaps one of its attributes or items.
_ARGUMENT = re.compile(r"([A-Za-z_]\w*)")

_Path = tuple[str, ...]


class ConfigError(InvalidParameterError):
    """A configuration that cannot be used; the message says where."""


class Config:
    """The tables of a file, and the lines of their keys.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _text(path)
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            what = str(error)
            at = re.search(r" \(at line (\d+), column (\d+)\)$", what)
            place = f", line {at[1]}, column {at[2]}" if at else ", at its end"
            what = what[: at.start()] if at else what.removesuffix(" (at end of document)")
            raise ConfigError(f"{path}{place}: is no TOML ({what}); correct it") from None
        except RecursionError:
            raise ConfigError(f"{path}: its lists or tables nest too deep; write them flat") from None
        except ValueError:
            raise ConfigError(f"{path}: a whole number has more digits than are read; shorten it") from None
        self._lines = _lines(text)

    def table(self, name: str) -> Table:
        """Return a table, an empty one where there is none."""
        found = self.values.get(name, {})
        if not isinstance(found, dict):
            raise self.error(
                (name,), f"{name} = {shown(found)}: must be a table; write [{name}] and its keys below"
            )
        return Table(self, (name,), found)

    def error(self, path: _Path, words: str) -> ConfigError:
        """Return an error about a key."""
        number = next(
            (self._lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._lines), None
        )
        at = f", line {number}" if number else ""
        table = f"[{'.'.join(path[:-1])}] " if len(path) > 1 else ""
        return ConfigError(f"{self.path}{at}: {table}{words}")

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Refuse tables and keys at the top that mean nothing."""
        _refuse_unknown(self, (), self.values, known)


class Table:
    """One table of a configuration.

    Parameters
    ----------
    config, path, values
        Where it stands, and what it holds.
    """

    def __init__(self, config: Config, path: _Path, values: Mapping[str, Any]) -> None:
        self.config = config
        self.path = path
        self.values = dict(values)
        #: Arguments that the table gives under other names than its keys: X and y of samples.
        self.gives: tuple[str, ...] = ()

    def inner(self, key: str) -> Table:
        """Return a table inside."""
        return Table(self.config, (*self.path, key), self.values[key])

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """Take a key out, its type checked."""
        value = self.values.pop(key, default)
        if value is not default and type(value) is not kind:
            words = {str: "text in quotes", int: "a whole number", dict: "a table", list: "a list"}[kind]
            raise self.error(key, f"{key} = {shown(value)}: must be {words}; write it so")
        return value

    def error(self, key: str, words: str) -> ConfigError:
        """Return an error about one of its keys, or about the table if it has no such key."""
        return self.config.error((*self.path, key), words)

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Refuse keys that mean nothing."""
        _refuse_unknown(self.config, self.path, self.values, known)

    def blamed(self, error: HmmError, others: Iterable[Table] = ()) -> ConfigError:
        """Return an error of a constructor as one of the configuration: at the key that it names first."""
        words = str(error)
        match = _ARGUMENT.match(words)
        argument = match[1] if match else ""
        for table in (self, *others):
            if argument in table.values or argument in table.gives:
                return table.error(argument, words)
        if argument in self.config.values:
            return self.config.error((argument,), words)
        return self.error(argument, words)


def read(path: Path) -> Config:
    """Return the configuration of a file."""
    return Config(path)


def _refuse_unknown(config: Config, path: _Path, values: Iterable[str], known: Iterable[str]) -> None:
    listed = list(known)
    for key in values:
        if key not in listed:
            near = get_close_matches(key, listed, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            kind = "key" if path else "key or table"
            choices = ", ".join(listed) or "none"
            raise config.error((*path, key), f"{key}: there is no such {kind}{guess}; known are {choices}")


def _text(path: Path) -> str:
    """Return what a file says; no more of it is read than a configuration can hold, be it a pipe or a device."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"{path}: cannot be read ({reason}); pass the path of a TOML file") from None
    if len(content) > _LARGEST:
        raise ConfigError(f"{path}: has more than {_LARGEST} bytes; keep numbers in a file that it names")
    if deep := _DEEP.search(text):
        number = text.count("\n", 0, deep.start()) + 1
        raise ConfigError(f"{path}, line {number}: a key has more than 32 parts; write it flat")
    return text.replace("\r\n", "\n")


def _lines(text: str) -> dict[_Path, int]:
    """Return the line of every key and table header."""
    found: dict[_Path, int] = {}
    table: _Path = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        rest = line
        if quote:
            _, closing, rest = line.partition(quote)
            if not closing:
                continue
            quote = ""
        elif depth == 0:
            if header := _HEADER.match(line):
                table = _keys(header[1])
                found.setdefault(table, number)
                continue
            if key := _KEY.match(line):
                found.setdefault((*table, *_keys(key[1])), number)
        depth, quote = _open(rest, depth)
    return found


def _keys(dotted: str) -> _Path:
    parts = re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", dotted)
    return tuple(part.strip("\"'") for part in parts)


def _open(line: str, depth: int) -> tuple[int, str]:
    """Return how many brackets a line leaves open, and the quotes of a text that goes on."""
    at = 0
    while match := _STRING.search(line, at):
        at, found = match.end(), match[0]
        if found in ('"""', "'''"):
            closing = line.find(found, at)
            if closing < 0:
                return depth, found
            at = closing + 3
        elif found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
    return depth, ""
