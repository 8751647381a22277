"""The log cache: a bounded directory of log files that are only ever appended to, never renamed.

<log directory>/<application>/<run>_<UTC start>_<boot>/<application>_<segment>.log

Runs and segments are counted, and the counts alone give the order: the device has no battery clock, so its idea of
the time may be years off and may jump. A finished segment never changes again, so whoever copies the cache from time
to time has to fetch only what is new.
"""

import logging
import os
import re
import sys
import time
from pathlib import Path

RUN = re.compile(r"(\d{6,})_\d{8}T\d{6}Z_[0-9a-f]{8}")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class RecordFormatter(logging.Formatter):
    """One line a record: timestamp, seconds since boot, level, logger, message. What continues a record starts with a tab."""

    converter = time.gmtime
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self):
        super().__init__("%(asctime)s %(uptime).3f %(levelname)s %(name)s %(message)s")

    def format(self, record):
        record.uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return "\n\t".join(super().format(record).splitlines())


class LogCache(logging.Handler):
    """Writes the records of one run, and removes the oldest segments when the cache of this application grows too large."""

    def __init__(self, log_directory, application, segment_bytes, total_bytes, sync_seconds):
        super().__init__()
        self.setFormatter(RecordFormatter())
        self.directory = Path(log_directory) / application
        self.segment_name = re.compile(re.escape(application) + r"_(\d{4,})\.log")
        self.application = application
        self.segment_bytes = segment_bytes
        self.total_bytes = total_bytes
        self.sync_seconds = sync_seconds
        self.synced_at = time.monotonic()
        self.file = None
        self.complained = False
        self.segment = 0
        self.run, self.run_directory = self._begin_run()
        self._begin_segment()

    def emit(self, record):
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            if self.file is None or os.fstat(self.file).st_nlink == 0:
                # Somebody cleared the cache while this run was writing to it, or the disk was full.
                self._begin_segment()
            size = os.fstat(self.file).st_size
            if size and size + len(line) > self.segment_bytes:
                self._begin_segment()
            while line:
                line = line[os.write(self.file, line):]
            if time.monotonic() - self.synced_at >= self.sync_seconds:
                self._sync()
            self.complained = False
        except OSError as error:
            # The application goes on without its log, and says so once.
            if not self.complained:
                print(f"cannot write the log in {self.run_directory}: {error}", file=sys.stderr, flush=True)
            self.complained = True

    def close(self):
        with self.lock:
            self._end_segment()
        super().close()

    def _begin_run(self):
        """Claims the next run number by creating its directory; nothing else has to be remembered."""
        start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        try:
            boot = BOOT_ID.read_text(encoding="ascii")[:8]
        except OSError:
            boot = "0" * 8
        self.directory.mkdir(parents=True, exist_ok=True)
        while True:
            run = max((number for number, _ in self._runs()), default=0) + 1
            path = self.directory / f"{run:06}_{start}_{boot}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return run, path

    def _begin_segment(self):
        self._end_segment()
        self._remove_oldest()
        self.run_directory.mkdir(parents=True, exist_ok=True)
        path = self.run_directory / f"{self.application}_{self.segment + 1:04}.log"
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.segment += 1

    def _end_segment(self):
        if self.file is not None:
            file, self.file = self.file, None
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _sync(self):
        os.fsync(self.file)
        self.synced_at = time.monotonic()

    def _runs(self):
        """Every run there is as (number, directory)."""
        for entry in os.scandir(self.directory):
            match = RUN.fullmatch(entry.name)
            if match and entry.is_dir(follow_symlinks=False):
                yield int(match[1]), Path(entry.path)

    def _segments(self):
        """Every segment there is as (run, number, path, size); files of other names are not ours and are left alone."""
        for run, directory in self._runs():
            for entry in os.scandir(directory):
                match = self.segment_name.fullmatch(entry.name)
                if match and entry.is_file(follow_symlinks=False):
                    yield run, int(match[1]), Path(entry.path), entry.stat().st_size

    def _remove_oldest(self):
        """Makes room for one full segment more within the total; the oldest go first, by count."""
        if not self.directory.exists():
            return
        segments = sorted(self._segments())
        room = self.total_bytes - self.segment_bytes - sum(size for *_, size in segments)
        for run, _, path, size in segments:
            if room >= 0:
                break
            path.unlink()
            room += size
            if run != self.run:
                self._remove_if_empty(path.parent)

    @staticmethod
    def _remove_if_empty(directory):
        try:
            directory.rmdir()
        except OSError:
            pass  # it holds more segments, or somebody else's files
