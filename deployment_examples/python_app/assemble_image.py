#!/usr/bin/env python3
"""Makes an arm64 image archive, as `docker save` would, from a Dockerfile and Debian packages, without docker.

The Dockerfile's FROM gives way to the packages; its COPY, ENV, WORKDIR, HEALTHCHECK, STOPSIGNAL and CMD hold. There are
three layers: the base system, what else the packages hold, and what is copied, so that a change of the application
changes only the last and smallest. The same input gives the same bytes: every time is that of EPOCH, every owner root,
every list sorted. Nothing of the packages is run, so neither root nor an emulator is needed.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

ARCHITECTURE, VARIANT = "arm64", "v8"
EPOCH = 1577836800  # 2020-01-01, also the date that the image claims
CREATED = "2020-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Packages of the first layer; the rest goes into the second.
BASE = re.compile(r"base-files|busybox-static|libc6|libgcc-s1|libcrypt1|gcc-\d+-base")
# Directories that Debian and Ubuntu have merged into /usr; the image has links in their place.
MERGED = ("bin", "sbin", "lib", "lib64")
# What a device has no use for: documents (the licences, usr/share/doc/*/copyright, stay) and the character sets of iconv.
LEFT_OUT = re.compile(
    r"usr/share/(man|info|locale|lintian|bug|doc-base|menu)(/|$)|usr/share/doc/[^/]+/(?!copyright$)|.*/__pycache__(/|$)"
    r"|usr/lib/[^/]+/gconv(/|$)|var/(run|lock)$"
)
# What the shell, and whoever looks into the container, can call; busybox looks at the name that it is called by.
APPLETS = """
    sh ash awk base64 basename cat chmod chown clear cmp cp cut date dd df diff dirname dmesg du echo env expr false find
    free grep gunzip gzip head hexdump hostname id kill less ln ls md5sum mkdir mktemp mount mv nc nproc od ping pgrep
    pkill printf ps pwd readlink realpath rm rmdir sed seq sha256sum sleep sort stat strings sync tail tar tee test
    timeout top touch tr true uname uniq uptime vi watch wc wget which whoami xargs zcat
""".split()
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\noem:x:989:987:oem:/home/oem:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\noem:x:987:\nnogroup:x:65534:\n",
}


class Unusable(Exception):
    """The input cannot be made into an image; the text says why."""


class Layer:
    """Files by path; later ones replace earlier ones."""

    def __init__(self):
        self.entries = {}

    def add(self, path, kind=tarfile.REGTYPE, mode=0o644, content=b"", target=""):
        """Adds one entry; directories above it appear by themselves."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.linkname, entry.mtime = kind, mode, target, EPOCH
        entry.size = len(content) if kind == tarfile.REGTYPE else 0
        for parent in PurePosixPath(path).parents:
            if str(parent) != "." and str(parent) not in self.entries:
                self.add(str(parent), tarfile.DIRTYPE, 0o755)
        self.entries[path] = (entry, content)

    def add_package(self, file):
        """Adds a package's files, and its description where vulnerability scanners look for it."""
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as dpkg:
            with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
                for entry in archive:
                    path = in_usr(entry.name)
                    if path in ("", *MERGED) or LEFT_OUT.match(path):
                        continue
                    target = in_usr(entry.linkname) if entry.type == tarfile.LNKTYPE else entry.linkname
                    if entry.type not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
                        raise Unusable(f"{file}: {entry.name} is neither file, directory nor link")
                    content = archive.extractfile(entry).read() if entry.type == tarfile.REGTYPE else b""
                    if path in self.entries and entry.type == tarfile.DIRTYPE:
                        continue  # the first package that has a directory decides about its mode
                    self.add(path, entry.type, entry.mode, content, target)
        if dpkg.returncode:
            raise Unusable(f"dpkg-deb cannot unpack {file}")
        control = subprocess.run(["dpkg-deb", "--field", file], check=True, stdout=subprocess.PIPE).stdout
        self.add("var/lib/dpkg/status.d/" + package_name(file), content=control)

    def add_tree(self, source, path):
        """Adds a directory or file of this computer; of its modes only 'executable' counts."""
        if source.is_symlink() or not (source.is_dir() or source.is_file()):
            raise Unusable(f"{source} is neither file nor directory")
        if source.is_dir():
            self.add(path, tarfile.DIRTYPE, 0o755)
            for child in source.iterdir():
                if child.name != "__pycache__":
                    self.add_tree(child, f"{path}/{child.name}")
        else:
            self.add(path, mode=0o755 if os.access(source, os.X_OK) else 0o644, content=source.read_bytes())

    def tar(self):
        """The layer as the bytes of a tar archive. Hard links come last, after what they link to."""
        output = io.BytesIO()
        with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for entry, content in sorted(
                self.entries.values(), key=lambda pair: (pair[0].type == tarfile.LNKTYPE, pair[0].name)
            ):
                archive.addfile(entry, io.BytesIO(content))
        return output.getvalue()


def in_usr(name):
    """A path of a package without leading dot and slash, and below usr where that is its place now."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    if len(parts) > 1 and parts[0] in MERGED:
        parts.insert(0, "usr")
    return "/".join(parts)


def package_name(file):
    return Path(file).name.split("_")[0]


def base_layer(packages):
    layer = Layer()
    for directory in MERGED:
        layer.add(directory, tarfile.SYMTYPE, 0o777, target="usr/" + directory)
        layer.add("usr/" + directory, tarfile.DIRTYPE, 0o755)
    for directory, mode in {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "root": 0o700, "tmp": 0o1777}.items():
        layer.add(directory, tarfile.DIRTYPE, mode)
    for package in packages:
        layer.add_package(package)
    layer.add("var/run", tarfile.SYMTYPE, 0o777, target="/run")
    layer.add("var/lock", tarfile.SYMTYPE, 0o777, target="/run/lock")
    for path, text in ACCOUNTS.items():
        layer.add(path, content=text.encode())
    if "usr/bin/busybox" in layer.entries:
        for applet in APPLETS:
            if f"usr/bin/{applet}" not in layer.entries:
                layer.add(f"usr/bin/{applet}", tarfile.SYMTYPE, 0o777, target="busybox")
    return layer.tar()


def package_layer(packages):
    layer = Layer()
    for package in packages:
        layer.add_package(package)
    return layer.tar()


def cached(cache, packages, make):
    """The layer that `make` makes of the packages, from the cache where the same was made before."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + make.__name__.encode())
    for package in packages:
        digest.update(package_name(package).encode() + hashlib.sha256(Path(package).read_bytes()).digest())
    file = cache / (digest.hexdigest() + ".tar")
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        replace(file, lambda output: output.write(make(packages)))
    return file.read_bytes()


def replace(file, write):
    """Writes to a name of this process and renames, so that nobody ever sees half a file."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(new, "wb") as output:
            write(output)
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def nanoseconds(text):
    units = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Unusable(f"{text!r} is no duration")
    return sum(int(number) * units[unit] for number, unit in parts)


def read_dockerfile(file):
    """The image's configuration, and the pairs to copy."""
    config, copies = {"Env": [PATH]}, []
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        try:
            if instruction in ("", "FROM"):
                pass
            elif instruction == "COPY":
                source, path = shlex.split(rest)
                copies.append((file.parent / source, path))
            elif instruction == "ENV":
                config["Env"] += shlex.split(rest)
            elif instruction == "WORKDIR":
                config["WorkingDir"] = rest
            elif instruction == "STOPSIGNAL":
                config["StopSignal"] = rest
            elif instruction == "CMD":
                config["Cmd"] = json.loads(rest)
            elif instruction == "HEALTHCHECK":
                options, command = rest.split(" CMD ", 1)
                check = {"Test": ["CMD", *json.loads(command)]}
                for option in options.split():
                    name, value = option.split("=")
                    key = {"--interval": "Interval", "--timeout": "Timeout", "--start-period": "StartPeriod"}.get(name)
                    if key:
                        check[key] = nanoseconds(value)
                    elif name == "--retries":
                        check["Retries"] = int(value)
                    else:
                        raise Unusable(f"unknown option {name}")
                config["Healthcheck"] = check
            else:
                raise Unusable("not among the instructions that can be followed without docker")
        except (ValueError, Unusable) as error:
            raise Unusable(f"{file}: {line.strip()!r}: {error}") from error
    return config, copies


def assemble(arguments):
    config, copies = read_dockerfile(arguments.dockerfile)
    packages = sorted(arguments.packages, key=package_name)
    base = [package for package in packages if BASE.fullmatch(package_name(package))]
    rest = [package for package in packages if package not in base]
    application = Layer()
    for source, path in copies:
        application.add_tree(source, path.strip("/"))

    layers = [
        ("base system: " + " ".join(map(package_name, base)), cached(arguments.cache, base, base_layer)),
        ("packages: " + " ".join(map(package_name, rest)), cached(arguments.cache, rest, package_layer)),
        ("application: " + " ".join(path for _, path in copies), application.tar()),
    ]
    diff_ids = [hashlib.sha256(content).hexdigest() for _, content in layers]
    image = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "variant": VARIANT,
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff_id for diff_id in diff_ids]},
            "history": [{"created": CREATED, "created_by": how} for how, _ in layers],
        },
        separators=(",", ":"),
    ).encode()
    image_id = hashlib.sha256(image).hexdigest()
    manifest = [
        {
            "Config": image_id + ".json",
            "RepoTags": [arguments.tag],
            "Layers": [diff_id + "/layer.tar" for diff_id in diff_ids],
        }
    ]

    archive = Layer()
    archive.add(image_id + ".json", content=image)
    archive.add("manifest.json", content=json.dumps(manifest, separators=(",", ":")).encode())
    for diff_id, (_, content) in zip(diff_ids, layers):
        archive.add(diff_id + "/layer.tar", content=content)
    replace(arguments.output, lambda output: output.write(archive.tar()))

    for how, content in layers:
        print(f"{len(content) / 1e6:7.2f} MB  {how}")
    print(f"{arguments.output}: {arguments.tag}, {ARCHITECTURE}, image ID sha256:{image_id}")


def main():
    parser = argparse.ArgumentParser(description="Makes an arm64 image archive from a Dockerfile and Debian packages.")
    parser.add_argument("--dockerfile", type=Path, required=True, help="what to copy and how to run it")
    parser.add_argument("--tag", required=True, help="name of the image, as name:tag")
    parser.add_argument("--output", type=Path, required=True, help="the archive to write")
    parser.add_argument("--cache", type=Path, required=True, help="where the layers of packages are kept")
    parser.add_argument("packages", nargs="+", metavar="DEB", help="what stands in for FROM")
    try:
        assemble(parser.parse_args())
    except (Unusable, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
