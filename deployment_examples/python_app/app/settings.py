"""What the configuration file says, checked before anything starts."""

import configparser
import logging
import os
from pathlib import Path
from typing import NamedTuple

DEFAULT_FILE = "/app/config/python_app.ini"

# Every key there is, with the value it has when the file leaves it out.
DEFAULTS = {
    "sample": {"interval_seconds": "2"},
    "limits": {"temperature_celsius": "85", "load": "4", "memory_percent": "90"},
    "log": {
        "directory": "/home/oem/share/logs",
        "level": "INFO",
        "segment_kilobytes": "256",
        "total_kilobytes": "8192",
        "sync_seconds": "30",
    },
}


class SettingsError(Exception):
    """The configuration file cannot be used; the text names file, section and key."""


class Settings(NamedTuple):
    """The configuration, each value in the unit that its name tells."""

    file: Path
    station: str
    interval_seconds: float
    temperature_celsius: float
    load: float
    memory_percent: float
    log_directory: Path
    log_level: int
    segment_bytes: int
    total_bytes: int
    sync_seconds: float


def read(environment=os.environ):
    """Reads the file that PYTHON_APP_CONFIG names; PYTHON_APP_STATION labels the records."""
    file = Path(environment.get("PYTHON_APP_CONFIG") or DEFAULT_FILE)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"), source=str(file))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error

    for section in parser.sections():
        if section not in DEFAULTS:
            raise SettingsError(f"{file}: unknown section [{section}]; there are {', '.join(DEFAULTS)}")
        for key in parser[section]:
            if key not in DEFAULTS[section]:
                raise SettingsError(
                    f"{file}: [{section}] has no key {key}; there are {', '.join(DEFAULTS[section])}"
                )

    def text(section, key):
        return parser.get(section, key, fallback=DEFAULTS[section][key]).strip()

    def number(section, key, least):
        try:
            value = float(text(section, key))
        except ValueError:
            value = float("nan")
        if not least <= value < float("inf"):
            raise SettingsError(
                f"{file}: [{section}] {key} must be a number of at least {least}, not {text(section, key)!r}"
            )
        return value

    level = logging.getLevelName(text("log", "level").upper())
    if not isinstance(level, int):
        raise SettingsError(f"{file}: [log] level must be DEBUG, INFO, WARNING or ERROR, not {text('log', 'level')!r}")
    segment_bytes = int(number("log", "segment_kilobytes", 1) * 1024)
    total_bytes = int(number("log", "total_kilobytes", 2) * 1024)
    if total_bytes < 2 * segment_bytes:
        raise SettingsError(f"{file}: [log] total_kilobytes must be at least twice segment_kilobytes")

    return Settings(
        file=file,
        station=environment.get("PYTHON_APP_STATION", "").strip() or "unnamed",
        interval_seconds=number("sample", "interval_seconds", 0.05),
        temperature_celsius=number("limits", "temperature_celsius", 0),
        load=number("limits", "load", 0),
        memory_percent=number("limits", "memory_percent", 0),
        log_directory=Path(text("log", "directory")),
        log_level=level,
        segment_bytes=segment_bytes,
        total_bytes=total_bytes,
        sync_seconds=number("log", "sync_seconds", 0),
    )
