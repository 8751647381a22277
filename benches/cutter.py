"""A TCP relay that cuts each connection after so many bytes to the device.

    cutter.py ADDRESS PORT HOST HOST_PORT BYTES
"""

import socket
import sys
import threading


def relay(source, target, limit):
    passed = 0
    try:
        while data := source.recv(1 << 16):
            passed += len(data)
            target.sendall(data)
            if limit and passed >= limit:
                break
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    address, port, host, host_port, limit = sys.argv[1:6]
    limit = int(limit)
    with socket.create_server((address, int(port))) as server:
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            device = socket.create_connection((host, int(host_port)))
            for source, target, bound in ((client, device, limit), (device, client, 0)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=relay, args=(source, target, bound), daemon=True).start()


if __name__ == "__main__":
    main()
