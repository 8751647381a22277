"""Exits with 0 when the last sample is recent, else with 1; docker runs it in the container."""

import sys
import time

import heartbeat


def main():
    try:
        with open(heartbeat.FILE, encoding="ascii") as file:
            taken_at, interval = map(float, file.read().split())
    except (OSError, ValueError) as error:
        print(f"no sample yet: {error}")
        return 1
    # Counted by the monotonic clock, which is the same in all processes and never jumps.
    age = time.monotonic() - taken_at
    allowed = 3 * interval + 5
    print(f"the last sample is {age:.1f} s old, {allowed:g} s are allowed")
    return 0 if age <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
