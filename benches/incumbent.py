"""What the incumbent does with files and images, emulated: paramiko and the `scp` package, file by file, every file each time.

Run by `run.py` in a virtual environment of its own. It is no part of ifm's program: that one needs a camera's libraries, waits
for fixed times, and does not fetch logs the first time; this does the same work without those, so it is the faster of the two.

    incumbent.py ADDRESS KEY up TREE REMOTE | down REMOTE LOCAL | stages TREE ARCHIVE LOCAL
"""

import os
import sys
from pathlib import Path

import paramiko
from scp import SCPClient


def main():
    address, key, what, *rest = sys.argv[1:]
    client = paramiko.SSHClient()
    # As the incumbent does: whoever answers is the device.
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(address, username="oem", key_filename=key, look_for_keys=False, allow_agent=False)

    def run(line):
        _, output, _ = client.exec_command(line)
        output.read()

    def up(tree, remote):
        run(f"mkdir -p {remote}")
        for folder, _, names in os.walk(tree):
            there = f"{remote}/{Path(folder).relative_to(tree)}"
            run(f"mkdir -p {there}")
            for name in names:
                with SCPClient(client.get_transport()) as scp:
                    scp.put(os.path.join(folder, name), f"{there}/{name}")

    def down(remote, local):
        Path(local).parent.mkdir(parents=True, exist_ok=True)
        with SCPClient(client.get_transport(), socket_timeout=120) as scp:
            scp.get(remote, local, recursive=True)

    if what == "up":
        if os.path.isdir(rest[0]):
            up(*rest)
        else:
            with SCPClient(client.get_transport(), socket_timeout=120) as scp:
                scp.put(*rest)
    elif what == "down":
        down(*rest)
    else:
        tree, remote, archive, local = rest
        run("mkdir -p ~/share")
        run("echo stamp >> ~/share/Deployments")
        up(tree, remote)
        down("/home/oem/share/logs", local)
        with SCPClient(client.get_transport(), socket_timeout=120) as scp:
            scp.put(archive, "/home/oem/image.tar")
        run("docker load -i /home/oem/image.tar")
        run("rm /home/oem/image.tar")
    client.close()


if __name__ == "__main__":
    main()
