"""Samples the device at a fixed interval, prints each sample and keeps it in the log cache, until SIGTERM."""

import logging
import os
import platform
import signal
import sys
import threading
import time

import heartbeat
import log_cache
import sample
import settings

APPLICATION = "python_app"
log = logging.getLogger(APPLICATION)


class ConsoleFormatter(logging.Formatter):
    """The message alone; docker adds the time, and only what is not ordinary names its level."""

    def format(self, record):
        text = super().format(record)
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"


def become_owner_of_share(log_directory):
    """Gives up root for whoever owns the share, so that the log files can be removed over SSH without root."""
    share = log_directory.parent
    share.mkdir(parents=True, exist_ok=True)
    owner = share.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    own = log_directory / APPLICATION
    for directory in (log_directory, own):
        if not directory.exists():
            directory.mkdir()
            os.chown(directory, owner.st_uid, owner.st_gid)
    for parent, directories, files in os.walk(own):
        for path in [parent, *(os.path.join(parent, name) for name in directories + files)]:
            if os.lstat(path).st_uid != owner.st_uid:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def beat(interval):
    """Tells the health check when the last sample was taken and when the next is due."""
    new = heartbeat.FILE + ".new"
    with open(new, "w", encoding="ascii") as file:
        file.write(f"{time.monotonic():.3f} {interval:.3f}\n")
    os.replace(new, heartbeat.FILE)


def work(wanted, stop):
    """Takes samples until told to stop; returns how many."""
    count = 0
    due = time.monotonic()
    while not stop.is_set():
        taken = sample.take(wanted.log_directory)
        beyond = taken.beyond(wanted)
        log.log(logging.WARNING if beyond else logging.INFO, "%s", "; ".join([str(taken), *beyond]))
        beat(wanted.interval_seconds)
        count += 1
        if count == 1:
            log.info("%s ready", APPLICATION)
        # The next multiple of the interval that is still to come, so that a slow sample delays no later one.
        due += wanted.interval_seconds * max(1, -(-(time.monotonic() - due) // wanted.interval_seconds))
        stop.wait(due - time.monotonic())
    return count


def main():
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    stop = threading.Event()
    received = []

    def on_signal(number, _frame):
        received.append(signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    try:
        wanted = settings.read()
        become_owner_of_share(wanted.log_directory)
        cache = log_cache.LogCache(
            wanted.log_directory, APPLICATION, wanted.segment_bytes, wanted.total_bytes, wanted.sync_seconds
        )
    except settings.SettingsError as error:
        print(f"{APPLICATION}: {error}", file=sys.stderr)
        return 78
    except OSError as error:
        print(f"{APPLICATION}: cannot keep logs: {error}", file=sys.stderr)
        return 73

    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(ConsoleFormatter())
    log.setLevel(wanted.log_level)
    log.addHandler(cache)
    log.addHandler(console)

    log.info(
        "run %d on station %s with Python %s (%s), configured by %s, logs in %s",
        cache.run, wanted.station, platform.python_version(), platform.machine(), wanted.file, cache.run_directory,
    )
    try:
        count = work(wanted, stop)
    except Exception:
        log.exception("%s failed", APPLICATION)
        raise
    log.info("%s stopped by %s after %d samples", APPLICATION, received[0], count)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        logging.shutdown()
