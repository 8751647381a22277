#!/usr/bin/env python3
"""Measures o3r-deploy beside its peers on the virtual VPU: one table of medians and ratios, and the same as CSV.

    benches/run.py                                     all workloads, five runs each (hours)
    benches/run.py --only W2a,W3 --runs 3              some of them
    benches/run.py --only W4,tree,bulk --rates unshaped    what travels as files

Images: W1 (first deploy), there (what docker takes of an archive that lies on the device), W1d (W1 of what hardly compresses), W2a
and W2b (one line changed in 5 MB, in 150 MB), W3 (nothing changed), W6 (each connection cut after 100 MB). Files: W4 (3,000 logs,
first, again unchanged, again with 1 % grown), tree (2,000 files of 4 KiB, both ways), bulk (1 GB, both ways), stages (an image of
`--size` MB, the tree, the logs, at once).
Every run's result is checked on the device by other means: the image's ID is asked of its docker, files are compared.
Bytes are counted at the network interface of the device, link framing included. The link is shaped with tbf (see `tc-tbf`).
Needs root (network interfaces), a docker engine (`docker/engine`), Python 3, OpenSSH, rsync and a release build. A VPU has no
rsync: for the peer, this computer's is put onto the virtual one. The incumbent is emulated (`incumbent.py`), with paramiko from
PyPI in `target/benches/venv`; without network it is left out.

What would blur the comparison is kept away from all peers alike: they speak to the device's own address and not through docker's
proxy; what comes back is written to memory, and what goes there into a new folder each time, because ext4 takes long to make
files where others were removed a moment ago; who begins changes from run to run.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import workloads

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "benches"
BACK = Path("/dev/shm" if os.path.isdir("/dev/shm") else WORK) / "o3r-deploy-bench"
ADDRESS = "127.0.0.99"
CUT_PORT = 2299
RATES = {"unshaped": None, "400mbit": "400mbit", "50mbit": "50mbit", "5mbit": "5mbit"}


def sh(line, check=True, **options):
    """Runs a shell line and gives its standard output."""
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], stdout=subprocess.PIPE, text=True, **options)
    if check and done.returncode != 0:
        raise SystemExit(f"benches: failed ({done.returncode}): {line}")
    return done.stdout


class Device:
    """A virtual VPU and what a user's computer knows of it."""

    def __init__(self, binary):
        self.home = WORK / "home"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.environment = {**os.environ, "HOME": str(self.home)}
        self.environment.pop("SSH_AUTH_SOCK", None)
        sh(f"{ROOT}/docker/vpu/up --address {ADDRESS} --fresh >&2")
        for line in sh(f"{ROOT}/docker/engine").splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            os.environ[name] = self.environment[name] = value.strip("'\"")
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        self.host = self.environment["IFM3D_IP"] = sh(f"docker inspect --format '{networks}' vpu-{ADDRESS}").strip()
        sh(f"{binary} trust --accept-new --quiet", env=self.environment)
        key, known = self.home / ".ssh/id_o3r", self.home / ".ssh/known_hosts"
        self.options = f"-F none -i {key} -o UserKnownHostsFile={known} -o BatchMode=yes"
        self.ssh = f"ssh {self.options}"
        self.login = f"oem@{self.host}"
        self.process = sh(f"docker inspect --format '{{{{.State.Pid}}}}' vpu-{ADDRESS}").strip()
        index = re.search(r"eth0@if(\d+)", sh(f"nsenter -t {self.process} -n ip -o link show eth0")).group(1)
        self.interface = next(
            path.parent.name for path in Path("/sys/class/net").glob("*/ifindex") if path.read_text().strip() == index
        )
        mounts = json.loads(sh(f"docker inspect --format '{{{{json .Mounts}}}}' vpu-{ADDRESS}"))
        self.docker_data = next(m["Source"] for m in mounts if m["Destination"] == "/var/lib/docker")
        self.home_data = next((m["Source"] for m in mounts if m["Destination"] == "/home"), None)

    def root(self, line):
        return sh(f"{ROOT}/docker/vpu/exec --address {ADDRESS} -- sh -c {shlex.quote(line)}")

    def shape(self, rate):
        """Limits both directions; None lifts the limit."""
        inside = f"nsenter -t {self.process} -n tc qdisc"
        sh(f"tc qdisc del dev {self.interface} root 2>/dev/null; {inside} del dev eth0 root 2>/dev/null", check=False)
        if rate:
            limit = f"root tbf rate {rate} burst 128kb latency 100ms"
            sh(f"tc qdisc add dev {self.interface} {limit} && {inside} add dev eth0 {limit}")

    def bytes(self):
        """Bytes so far over the device's interface, both directions."""
        folder = Path("/sys/class/net") / self.interface / "statistics"
        return sum(int((folder / name).read_text()) for name in ("tx_bytes", "rx_bytes"))

    def clear_images(self):
        self.root("ids=$(docker image ls -aq); [ -z \"$ids\" ] || docker image rm -f $ids >/dev/null")
        self.root("rm -rf /home/oem/bench /home/oem/image.tar /home/oem/.o3r-deploy")

    def image_id(self, reference):
        return self.root(f"docker image inspect --format '{{{{.Id}}}}' {reference}").strip()

    def add_rsync(self):
        """Puts this computer's rsync onto the device, with its libraries."""
        folder, name = WORK / "rsync", f"vpu-{ADDRESS}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        rsync = shutil.which("rsync") or sys.exit("benches: rsync is missing")
        libraries = re.findall(r"/\S+", sh(f"ldd {rsync}"))
        for path in [rsync, *libraries]:
            shutil.copy(path, folder)
        loader = next(Path(path).name for path in libraries if "/ld-" in path)
        there = "/usr/lib/bench-rsync"
        (folder / "run").write_text(f'#!/bin/sh\nexec {there}/{loader} --library-path {there} {there}/rsync "$@"\n')
        for path in folder.iterdir():
            path.chmod(0o755)
        self.root(f"rm -rf {there}")
        sh(f"docker cp {folder} {name}:{there} >&2")
        self.root(f"ln -sf {there}/run /usr/bin/rsync && rsync --version")

    def temporary(self):
        """Bytes in temporary copies on the device now."""
        total = 0
        for folder in (f"{self.docker_data}/tmp",):
            for path, _, names in os.walk(folder):
                for name in names:
                    try:
                        total += os.lstat(os.path.join(path, name)).st_blocks * 512
                    except OSError:
                        pass
        for path in (Path(self.home_data or "/nonexistent") / "oem/image.tar",):
            total += path.stat().st_blocks * 512 if path.exists() else 0
        return total


def measure(device, line):
    """Runs a line; gives seconds, bytes on the wire, CPU seconds, peak memory and peak temporary bytes on the device."""
    peak, stop = [0], threading.Event()

    def watch():
        while not stop.wait(0.05):
            peak[0] = max(peak[0], device.temporary())

    watcher = threading.Thread(target=watch)
    watcher.start()
    before, begin = device.bytes(), time.monotonic()
    child = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", line], env=device.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    stop.set()
    watcher.join()
    if status != 0:
        raise SystemExit(f"benches: failed: {line}\n{errors.decode(errors='replace')}")
    return {
        "seconds": seconds,
        "bytes": device.bytes() - before,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory_kib": usage.ru_maxrss,
        "peak_disk": peak[0],
    }


def require(holds, what):
    if not holds:
        raise SystemExit(f"benches: {what}")


def turned(items, by):
    """The same ones, with another of them first."""
    items = list(items)
    by %= len(items)
    return items[by:] + items[:by]


def digests(path):
    """As `sha256sum` says, of one file or of all below a folder."""
    if path.is_dir():
        return sh(f"cd {path} && find . -type f -exec sha256sum {{}} + | sort -k 2")
    return sh(f"sha256sum < {path}")


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def image_peers(device, binary, archive):
    """The ways to put an archive into the device's docker."""
    nothing = "--log_dir '' --get_logs_from_vpu '' --dirs_to_make '' --append_deployment_timestamp_to ''"
    return {
        "o3r-deploy": f"exec {binary} {nothing} --config '' --quiet --image {archive}",
        "cat | ssh docker load": f"{device.ssh} {device.login} docker load < {archive}",
        "cat | ssh -C docker load": f"{device.ssh} -C {device.login} docker load < {archive}",
        "scp, docker load": f"scp -q {device.options} {archive} {device.login}:image.tar && "
        f"{device.ssh} {device.login} 'docker load -i image.tar; rm image.tar'",
    }


NOTHING = "--log_dir '' --get_logs_from_vpu '' --dirs_to_make '' --append_deployment_timestamp_to '' --config '' --quiet"


class Bench:
    def __init__(self, arguments):
        self.runs, self.rates, self.binary = arguments.runs, arguments.rates, arguments.binary
        self.device = Device(self.binary)
        self.rows = []
        self.turn = 0
        self.without_incumbent = arguments.without_incumbent

    def incumbent(self):
        """The emulated incumbent, up to its words; None without paramiko."""
        folder = WORK / "venv"
        if self.without_incumbent:
            return None
        if not (folder / "ready").exists():
            made = subprocess.run(f"{sys.executable} -m venv {folder} && {folder}/bin/pip install --quiet paramiko scp",
                                  shell=True, stdout=subprocess.DEVNULL)
            if made.returncode != 0:
                print("benches: no paramiko to be had: the incumbent is left out", file=sys.stderr)
                return None
            (folder / "ready").touch()
        return f"{folder}/bin/python {ROOT}/benches/incumbent.py {self.device.host} {self.device.home}/.ssh/id_o3r"

    def with_incumbent(self, peers, words):
        words = words if self.incumbent() else None
        return {**peers, "incumbent (emulated: paramiko + scp, file by file)": f"{self.incumbent()} {words}"} if words else peers

    def compare(self, workload, rate, peers, prepare, check):
        """Runs all peers in turn, so that a noisy machine is noisy to all of them."""
        self.device.shape(RATES[rate])
        results = {name: [] for name in peers}
        for run in range(self.runs):
            for name, line in turned(peers.items(), run):
                self.device.shape(None)
                prepare()
                self.device.shape(RATES[rate])
                results[name].append(measure(self.device, line))
                check()
                self.tell(workload, rate, run, name, results[name][-1])
        self.note(workload, rate, results)

    def tell(self, workload, rate, run, name, result):
        print(f"{workload} {rate} {run + 1}/{self.runs} {name}: {result['seconds']:.2f} s", file=sys.stderr)

    def note(self, workload, rate, results):
        """Takes the medians into the table."""
        self.device.shape(None)
        medians = {name: {key: statistics.median(r[key] for r in rs) for key in rs[0]} for name, rs in results.items()}
        others = [m["seconds"] for name, m in medians.items() if name != "o3r-deploy"]
        for name, median in medians.items():
            self.rows.append({"workload": workload, "link": rate, "peer": name, **median,
                              "of_best_peer": median["seconds"] / min(others) if others else None})

    def images(self, workload, before, after):
        """`before` is on the device, `after` is to come."""
        check = lambda: self.same_id(after)
        ours = lambda image: image_peers(self.device, self.binary, image.path)["o3r-deploy"]
        for rate in self.rates:
            if workloads.takes_hours(after, rate):
                continue

            # Another link: what was learned of the last one would mislead.
            shutil.rmtree(self.device.home / ".cache", ignore_errors=True)
            if before:
                # The developer's computer has delivered the version before over the same link, and knows both.
                self.device.clear_images()
                self.device.shape(RATES[rate])
                sh(ours(before), env=self.device.environment)

            def prepare():
                self.device.clear_images()
                if before:
                    sh(f"{self.device.ssh} {self.device.login} docker load < {before.path} >/dev/null")

            self.compare(workload, rate, image_peers(self.device, self.binary, after.path), prepare, check)

    def docker_alone(self, image):
        """What docker takes of an archive that lies on the device: no way that uses it is faster, but by beginning earlier."""
        device = self.device

        def prepare():
            device.clear_images()
            sh(f"scp -q {device.options} {image.path} {device.login}:image.tar")

        line = f"{device.ssh} {device.login} docker load -i image.tar"
        self.compare("an archive that is there", "unshaped", {"docker load": line}, prepare, lambda: self.same_id(image))

    def same_id(self, image):
        found = self.device.image_id(image.reference)
        if found != image.id:
            raise SystemExit(f"benches: {image.reference} on the device is {found} and not {image.id}")

    def nothing_changed(self, image):
        self.device.clear_images()
        sh(f"{self.device.ssh} {self.device.login} docker load < {image.path} >/dev/null")
        peers = {"o3r-deploy": image_peers(self.device, self.binary, image.path)["o3r-deploy"],
                 "ssh device true": f"{self.device.ssh} {self.device.login} true"}
        self.compare("W3", "unshaped", peers, lambda: None, lambda: None)

    def cut(self, image, rate):
        """Each connection is cut after 100 MB; whoever does not go on by itself is started again, ten times at most."""
        device = self.device
        ours = image_peers(device, self.binary, image.path)["o3r-deploy"].removeprefix("exec ")
        again = "n=0; until {} ; do n=$((n+1)); [ $n -lt 30 ] || exit 1; done"
        ours = again.format(f"{ours} --IP {ADDRESS} --port {CUT_PORT} --accept-new")
        # Over the whole link first, so that its speed is known as it is to anybody who has used it before.
        device.clear_images()
        device.shape(RATES[rate])
        uncut = image_peers(device, self.binary, image.path)["o3r-deploy"]
        sh(uncut, env=device.environment)
        self.compare("W6 not cut", rate, {"o3r-deploy": uncut}, device.clear_images, lambda: self.same_id(image))
        relay = subprocess.Popen([sys.executable, ROOT / "benches/cutter.py", ADDRESS, str(CUT_PORT), device.host, "22", "100000000"],
                                 stdout=subprocess.PIPE)
        relay.stdout.readline()
        try:
            self.compare("W6 cut every 100 MB", rate, {"o3r-deploy": ours}, device.clear_images, lambda: self.same_id(image))
            stock = f"{device.ssh} -p {CUT_PORT} -o StrictHostKeyChecking=no oem@{ADDRESS} docker load < {image.path}"
            device.clear_images()
            device.shape(RATES[rate])
            done = subprocess.run(["bash", "-c", stock], env=device.environment, capture_output=True, check=False)
            print(f"W6: `cat | ssh docker load` ends with {done.returncode}, every time", file=sys.stderr)
        finally:
            relay.terminate()
            device.shape(None)

    def small_things(self):
        """What has nothing to do with a device: the time of `--help` and the size of the program."""
        seconds = []
        for _ in range(20):
            begin = time.monotonic()
            subprocess.run([self.binary, "--help"], stdout=subprocess.DEVNULL, check=True)
            seconds.append(time.monotonic() - begin)
        print(f"`o3r-deploy --help`: {statistics.median(seconds) * 1000:.1f} ms; program: "
              f"{self.binary.stat().st_size / 1e6:.1f} MB\n")

    def steps(self, rate, peers, steps):
        """Runs for each peer in turn a row of steps, each in a new folder `{n}` here and there; `{n}` of a step that begins with
        `again` is that of the step before. A step: workload, lines by peer, what is done before all of them, check of `{n}`."""
        results = {step[0]: {name: [] for name in peers} for step in steps}
        for run in range(self.runs):
            numbers = {name: 0 for name in peers}
            for workload, lines, prepare, check in steps:
                prepare()
                for name in turned(peers, run):
                    if not workload.startswith("again"):
                        self.turn += 1
                        numbers[name] = self.turn
                    sh("sync")
                    self.device.shape(RATES[rate])
                    result = measure(self.device, lines[name].replace("{n}", str(numbers[name])))
                    self.device.shape(None)
                    check(numbers[name])
                    results[workload][name].append(result)
                    self.tell(workload, rate, run, name, result)
        for workload, by_peer in results.items():
            self.note(workload, rate, by_peer)

    def both_ways(self, what, source, peers_up, peers_down, tools):
        """Something up and down, in turn; each is checked by its digests on both sides."""
        device, back = self.device, BACK
        shutil.rmtree(back, ignore_errors=True)
        back.mkdir()
        device.root("mkdir -p /home/oem/bench && chown oem: /home/oem/bench")
        here = digests(source)
        there = "find . -type f -exec sha256sum {} + | sort -k 2" if source.is_dir() else "sha256sum < ."
        def same_there(number):
            path = f"/home/oem/bench/{number}"
            found = device.root(f"cd {path} && {there}" if source.is_dir() else f"sha256sum < {path}")
            require(found == here, f"{what}: what arrived on the device differs")
            if not source.is_dir():
                # The disk of a virtual computer takes longer where nothing ever was.
                device.root(f"rm {path}")
        def same_here(number):
            require(digests(back / str(number)) == here, f"{what}: what came back differs")
            remove(back / str(number))
        # What is fetched: put there once.
        sh(f"tar -C {source.parent} -cf - {source.name} | {device.ssh} {device.login} 'tar -C bench -xf -'")
        for rate in self.rates:
            if source.stat().st_size * 8 / {"unshaped": 1e10, "400mbit": 4e8, "50mbit": 5e7, "5mbit": 5e6}[rate] > 600:
                continue
            self.steps(rate, tools, [(f"{what}, up", peers_up, lambda: None, same_there),
                                     (f"{what}, down", peers_down, lambda: None, same_here)])
        device.root(f"mv /home/oem/bench /home/oem/old-{self.turn}")

    def tree(self):
        device, tree = self.device, workloads.tree(WORK)
        device.add_rsync()
        back = BACK
        up = self.with_incumbent({
            "o3r-deploy": f"exec {self.binary} {NOTHING} --transfers_to_vpu {tree},~/bench/{{n}}",
            "scp -r": f"scp -qr {device.options} {tree} {device.login}:bench/{{n}}",
            "rsync -a": f"rsync -a -e '{device.ssh}' {tree}/ {device.login}:bench/{{n}}",
            "tar | ssh tar": f"tar -C {tree} -cf - . | {device.ssh} {device.login} 'mkdir bench/{{n}} && tar -C bench/{{n}} -xf -'",
        }, f"up {tree} /home/oem/bench/{{n}}")
        down = self.with_incumbent({
            "o3r-deploy": f"exec {self.binary} {NOTHING} --transfers_from_vpu '~/bench/tree,{back}/{{n}}'",
            "scp -r": f"scp -qr {device.options} {device.login}:bench/tree {back}/{{n}}",
            "rsync -a": f"rsync -a -e '{device.ssh}' {device.login}:bench/tree/ {back}/{{n}}",
            "tar | ssh tar": f"mkdir {back}/{{n}} && {device.ssh} {device.login} 'tar -C bench/tree -cf - .' | tar -C {back}/{{n}} -xf -",
        }, f"down /home/oem/bench/tree {back}/{{n}}")
        self.both_ways("2,000 files of 4 KiB", tree, up, down, list(up))

    def bulk(self):
        device, file, back = self.device, workloads.big_file(WORK), BACK
        gcm = f"{device.ssh} -c aes128-gcm@openssh.com {device.login}"
        up = self.with_incumbent({
            "o3r-deploy": f"exec {self.binary} {NOTHING} --transfers_to_vpu {file},~/bench/{{n}}",
            "scp": f"scp -q {device.options} {file} {device.login}:bench/{{n}}",
            "cat | ssh cat, aes128-gcm": f"{gcm} 'cat > bench/{{n}}' < {file}",
            "cat | ssh cat, aes128-gcm, and sync": f"{gcm} 'cat > bench/{{n}} && sync -f bench/{{n}}' < {file}",
        }, f"up {file} /home/oem/bench/{{n}}")
        down = self.with_incumbent({
            "o3r-deploy": f"exec {self.binary} {NOTHING} --transfers_from_vpu '~/bench/file,{back}/{{n}}'",
            "scp": f"scp -q {device.options} {device.login}:bench/file {back}/{{n}}",
            "cat | ssh cat, aes128-gcm": f"{gcm} 'cat bench/file' > {back}/{{n}}",
            "cat | ssh cat, aes128-gcm, and sync": f"{gcm} 'cat bench/file' > {back}/{{n}} && sync -f {back}/{{n}}",
        }, f"down /home/oem/bench/file {back}/{{n}}")
        self.both_ways("1 GB file", file, up, down, list(up))

    def put_logs(self):
        """The logs as they are at first, in a new folder."""
        self.turn += 1
        self.device.root("mkdir -p /home/oem/share /home/oem/old && chown oem: /home/oem/share /home/oem/old")
        logs = workloads.logs(WORK)
        sh(f"tar -C {logs.parent} -cf - logs | {self.device.ssh} {self.device.login} "
           f"'if [ -e share/logs ]; then mv share/logs old/{self.turn}; fi; tar -C share -xf -'")

    def logs(self):
        """3,000 logs: pulled first, again unchanged, again when 1 % of them have grown by their size, which is 1 % of all bytes."""
        device, back = self.device, BACK
        device.add_rsync()
        shutil.rmtree(back, ignore_errors=True)
        back.mkdir()
        pull = f"exec {self.binary} --log_dir '' --dirs_to_make '' --append_deployment_timestamp_to '' --config '' --quiet "
        lines = {
            "o3r-deploy": pull + f"--get_logs_from_vpu '~/share/logs>{back}/{{n}}'",
            "rsync -a": f"rsync -a -e '{device.ssh}' {device.login}:share/logs/ {back}/{{n}}",
            "rsync -ac": f"rsync -ac -e '{device.ssh}' {device.login}:share/logs/ {back}/{{n}}",
            "tar | ssh tar": f"mkdir -p {back}/{{n}} && {device.ssh} {device.login} 'tar -C share/logs -cf - .' | tar -C {back}/{{n}} -xf -",
            "scp -r": f"rm -rf {back}/{{n}} && scp -qr {device.options} {device.login}:share/logs {back}/{{n}}",
        }
        lines = self.with_incumbent(lines, f"down /home/oem/share/logs {back}/{{n}}")
        def grow():
            device.root("cd /home/oem/share/logs && for f in */app_*50.log; do "
                        "head -c 6000 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' | head -c 12000 >> $f; done")
        def check(number):
            found = device.root("cd /home/oem/share/logs && find . -type f -exec sha256sum {} + | sort -k 2")
            folder = back / str(number)
            pulled = next((path for path in [*folder.glob("sn*/logs"), folder / "logs"] if path.is_dir()), folder)
            require(digests(pulled) == found, "the logs that were pulled differ from those on the device")
        for rate in self.rates:
            self.steps(rate, list(lines), [("W4 3,000 logs, first", lines, self.put_logs, check),
                                           ("again, W4 unchanged", lines, lambda: None, check),
                                           ("again, W4 1 % grown", lines, grow, check)])
        shutil.rmtree(back, ignore_errors=True)
        device.root(f"mv /home/oem/share/logs /home/oem/old/{self.turn}-last")

    def stages(self, image):
        """A tree up, logs down, an image into docker, by one command each."""
        device, tree, back = self.device, workloads.tree(WORK), BACK
        shutil.rmtree(back, ignore_errors=True)
        back.mkdir()
        device.root("mkdir -p /home/oem/bench && chown oem: /home/oem/bench")
        self.put_logs()
        lines = self.with_incumbent({
            "o3r-deploy": f"exec {self.binary} --log_dir '' --config '' --quiet --get_logs_from_vpu '~/share/logs>{back}/{{n}}' "
                          f"--transfers_to_vpu '{tree},~/bench/{{n}}' --image {image.path}",
        }, f"stages {tree} /home/oem/bench/{{n}} {image.path} {back}/{{n}}")
        def check(number):
            self.same_id(image)
            found = device.root(f"cd /home/oem/bench/{number} && find . -type f -exec sha256sum {{}} + | sort -k 2")
            require(found == digests(tree), "the tree on the device differs")
            require(sum(path.is_file() for path in (back / str(number)).rglob("*")) == 3000, "logs are missing")
            device.root("ids=$(docker image ls -aq); [ -z \"$ids\" ] || docker image rm -f $ids >/dev/null")
        device.clear_images()
        device.root("mkdir -p /home/oem/bench && chown oem: /home/oem/bench")
        for rate in self.rates:
            if not workloads.takes_hours(image, rate):
                self.steps(rate, list(lines), [("all stages", lines, lambda: None, check)])
        device.root("rm -rf /home/oem/bench /home/oem/old /home/oem/share")

    def table(self):
        head = ["workload", "link", "peer", "s", "of best peer", "wire MB", "peak disk MB", "client MB", "CPU s"]
        lines = [head, ["---"] * len(head)]
        for row in self.rows:
            ratio = "" if row["of_best_peer"] is None else f"{row['of_best_peer']:.2f}"
            lines.append([row["workload"], row["link"], row["peer"], f"{row['seconds']:.2f}", ratio, f"{row['bytes'] / 1e6:.2f}",
                          f"{row['peak_disk'] / 1e6:.0f}", f"{row['memory_kib'] / 1024:.0f}", f"{row['cpu']:.2f}"])
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", "--workloads", dest="workloads", default="W1,there,W1d,W2a,W2b,W3,W6,W4,tree,bulk,stages",
                        help="W1, there, W1d, W2a, W2b, W3, W6 (over the last of the rates), W4, tree, bulk, stages; separated by commas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rates", default="unshaped,400mbit,50mbit", type=lambda text: text.split(","))
    parser.add_argument("--size", type=int, default=1000, help="size of the W1 image in MB")
    parser.add_argument("--without-incumbent", action="store_true", help="it takes minutes for each run of `tree`")
    parser.add_argument("--address", default=ADDRESS, help="where the virtual VPU is to be, one of 127.0.0.0/8")
    parser.add_argument("--binary", default=ROOT / "target/release/o3r-deploy", type=Path)
    arguments = parser.parse_args()
    globals()["ADDRESS"] = arguments.address
    if not arguments.binary.exists():
        raise SystemExit("benches: build first: cargo build --release")
    WORK.mkdir(parents=True, exist_ok=True)
    images = workloads.Images(WORK, arguments.size)
    # In a process of its own: what this one has in memory would count for its children.
    wanted = set(arguments.workloads.split(","))
    made = ["files"] + ["images"] * bool(wanted - {"W4", "tree", "bulk"}) + ["dense"] * ("W1d" in wanted)
    for what in made:
        subprocess.run([sys.executable, workloads.__file__, WORK, str(arguments.size), what], check=True)
    bench = Bench(arguments)
    try:
        for workload in arguments.workloads.split(","):
            match workload:
                case "W1":
                    bench.images("W1 first deploy", None, images.base())
                case "there":
                    bench.docker_alone(images.base())
                case "W1d":
                    dense = workloads.Images(WORK, arguments.size, dense=True)
                    bench.images("W1d first deploy, hardly compressible", None, dense.base())
                case "W2a":
                    bench.images("W2 one line in 5 MB", images.base(), images.small_change())
                case "W2b":
                    bench.images("W2 one line in 150 MB", images.base(), images.large_change())
                case "W3":
                    bench.nothing_changed(images.base())
                case "W6":
                    bench.cut(images.base(), arguments.rates[-1])
                case "W4":
                    bench.logs()
                case "tree":
                    bench.tree()
                case "bulk":
                    bench.bulk()
                case "stages":
                    bench.stages(images.base())
                case other:
                    raise SystemExit(f"benches: there is no workload `{other}`")
    finally:
        shutil.rmtree(BACK, ignore_errors=True)
        sh(f"{ROOT}/docker/vpu/down --address {ADDRESS} >&2", check=False)
    bench.small_things()
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, {arguments.runs} runs, medians\n")
    print(bench.table())
    with open(WORK / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, bench.rows[0])
        writer.writeheader()
        writer.writerows(bench.rows)


if __name__ == "__main__":
    main()
