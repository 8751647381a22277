"""One look at the device: load, memory, room on the share, temperature, time since boot."""

import os
from pathlib import Path
from typing import NamedTuple, Optional

THERMAL = Path("/sys/class/thermal")


class Sample(NamedTuple):
    """What was measured; the temperature is missing where the device has no sensor."""

    load: float
    memory_percent: float
    free_bytes: int
    temperature_celsius: Optional[float]
    uptime_seconds: float

    def __str__(self):
        temperature = "–" if self.temperature_celsius is None else f"{self.temperature_celsius:.1f}"
        return (
            f"load {self.load:.2f}, memory {self.memory_percent:.0f} %, "
            f"{self.free_bytes / 2**30:.2f} GiB free, temperature {temperature} °C, up {self.uptime_seconds:.0f} s"
        )

    def beyond(self, settings):
        """What is above its limit, in words."""
        limits = (
            ("load", self.load, settings.load, ""),
            ("memory", self.memory_percent, settings.memory_percent, " %"),
            ("temperature", self.temperature_celsius, settings.temperature_celsius, " °C"),
        )
        return [f"{name} above {limit:g}{unit}" for name, value, limit, unit in limits if value is not None and value > limit]


def take(directory):
    """Measures; `directory` is where the free room is looked up."""
    room = os.statvfs(directory)
    return Sample(
        load=os.getloadavg()[0],
        memory_percent=_memory_percent(),
        free_bytes=room.f_bavail * room.f_frsize,
        temperature_celsius=_temperature(),
        uptime_seconds=float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]),
    )


def _memory_percent():
    kilobytes = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    return 100 * (1 - kilobytes["MemAvailable"] / kilobytes["MemTotal"])


def _temperature():
    """The hottest zone; a zone that cannot be read, or that reports nonsense, does not count."""
    degrees = []
    for zone in THERMAL.glob("thermal_zone*/temp"):
        try:
            value = int(zone.read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue
        if -40 < value < 150:
            degrees.append(value)
    return max(degrees, default=None)
