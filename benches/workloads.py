"""The workloads, made from a seed: images in `docker save` format, a large file, a tree of small ones.

A layer is a tree of 1 MB files, a part of each random bytes and the rest words. gzip makes about 0.4 of it, as of a Debian image
(0.38 of the virtual VPU's own: `docker save o3r-vpu | gzip -1`), or 0.75 of a dense one.
"""

import hashlib
import io
import itertools
import json
import random
import sys
import tarfile
from pathlib import Path

# Random bytes in a file of 1 MB.
RANDOM, DENSE = 80_000, 600_000
LETTERS = b"etaoinshrdlu_./"
LINE = b"print('one more line')\n"


class Image:
    """An archive and what is to be on the device afterwards."""

    def __init__(self, path, reference, image_id, size):
        self.path, self.reference, self.id, self.size = path, reference, image_id, size


def takes_hours(image, rate):
    """Whether sending the whole image once over that link takes longer than ten minutes."""
    bits = {"unshaped": 1e10, "400mbit": 4e8, "50mbit": 5e7, "5mbit": 5e6}[rate]
    return image.size * 8 / bits > 600


def vocabulary():
    """Words, and weights that make the frequent ones far more so than the rest."""
    numbers = random.Random("words")
    words = [bytes(numbers.choices(LETTERS, k=numbers.randint(2, 12))) + b" " for _ in range(1_500)]
    return words, list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))


def layer(seed, megabytes, changed, dense):
    """An uncompressed layer, its files in docker's order; `changed` puts a line into the middle of its middle file."""
    numbers, out = random.Random(seed), io.BytesIO()
    words, weights = vocabulary()
    share = DENSE if dense else RANDOM
    with tarfile.open(fileobj=out, mode="w") as archive:
        for index in sorted(range(megabytes), key=str):
            content = numbers.randbytes(share)
            while len(content) < 1_000_000:
                content += b"".join(numbers.choices(words, cum_weights=weights, k=20_000))
            content = content[:1_000_000]
            if changed and index == megabytes // 2:
                content = content[:700_000] + LINE + content[700_000:]
            entry = tarfile.TarInfo(f"data/{seed}/{index}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class Images:
    """An image of ten layers, and two successors that differ in one line of one layer, the last or the last but one."""

    def __init__(self, folder, megabytes, dense=False):
        self.folder, self.dense = Path(folder), dense
        rest = megabytes - 5 - 150
        self.sizes = [rest * share // 100 for share in (30, 20, 15, 10, 10, 8, 5, 2)] + [150, 5]
        self.layers = {}

    def base(self):
        return self.image("dense:1" if self.dense else "bench:1", changed=None)

    def small_change(self):
        return self.image("bench:2", changed=9)

    def large_change(self):
        return self.image("bench:3", changed=8)

    def image(self, reference, changed):
        path = self.folder / f"{reference.replace(':', '-')}-{sum(self.sizes)}.tar"
        note = path.with_suffix(".json")
        if not note.exists():
            blobs = [self.blob(index, size, index == changed) for index, size in enumerate(self.sizes)]
            note.write_text(json.dumps({"id": save(path, reference, blobs), "size": sum(map(len, blobs))}))
        known = json.loads(note.read_text())
        return Image(path, reference, known["id"], known["size"])

    def blob(self, index, size, changed):
        if (index, changed) not in self.layers:
            self.layers[index, changed] = layer(index, size, changed, self.dense)
        return self.layers[index, changed]


def save(path, reference, blobs):
    """Writes an archive as `docker save` does and gives the image's ID."""
    digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    config = json.dumps({"architecture": "arm64", "os": "linux", "config": {"Labels": {"name": reference}},
                         "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}}).encode()
    image_id = hashlib.sha256(config).hexdigest()
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": f"{image_id}.json", "RepoTags": [reference], "Layers": names}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, blob in [*zip(names, blobs), (f"{image_id}.json", config), ("manifest.json", manifest)]:
            entry = tarfile.TarInfo(name)
            entry.size = len(blob)
            archive.addfile(entry, io.BytesIO(blob))
    return f"sha256:{image_id}"


def big_file(folder):
    """One file of 1 GB that does not compress."""
    path = Path(folder) / "file"
    if not path.exists():
        numbers = random.Random(1)
        with open(path, "wb") as file:
            for _ in range(1000):
                file.write(numbers.randbytes(1_000_000))
    return path


def tree(folder):
    """2,000 files of 4 KiB in 20 folders."""
    root = Path(folder) / "tree"
    if not root.exists():
        numbers = random.Random(2)
        for index in range(2000):
            path = root / f"{index % 20}" / f"{index}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(numbers.randbytes(4096))
    return root


def logs(folder):
    """3,000 log files of 12,000 bytes in 30 folders: 36 MB."""
    root = Path(folder) / "logs"
    if not root.exists():
        numbers = random.Random(3)
        for index in range(3000):
            path = root / f"{index % 30}" / f"app_{index}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(numbers.randbytes(6000).hex().encode())
    return root


if __name__ == "__main__":
    if sys.argv[3] == "images":
        made = Images(sys.argv[1], int(sys.argv[2]))
        made.base(), made.small_change(), made.large_change()
    if sys.argv[3] == "dense":
        Images(sys.argv[1], int(sys.argv[2]), dense=True).base()
    big_file(sys.argv[1]), tree(sys.argv[1]), logs(sys.argv[1])
