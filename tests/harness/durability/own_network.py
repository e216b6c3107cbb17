"""Mirrors a run in a network that has only itself: a resolver and a listener that count what comes.

Called as `unshare -rmn python own_network.py RUN mirror|asking`; prints what was asked for as JSON.
"""

import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

names: list[str] = []
connections: list[int] = []


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def answer_names() -> None:
    """Every name is 127.0.0.1."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
        file.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve() -> None:
        while True:
            query, sender = server.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += query[at] + 1
            names.append(".".join(labels))
            is_a = query[at + 1 : at + 3] == b"\x00\x01"
            head = query[:2] + b"\x81\x80" + query[4:6] + (b"\x00\x01" if is_a else b"\x00\x00")
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"
            server.sendto(
                head + b"\x00" * 4 + query[12 : at + 5] + (record if is_a else b""), sender
            )

    threading.Thread(target=serve, daemon=True).start()


def listen(port: int) -> None:
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            connections.append(port)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()


def asking(_: Path) -> None:
    """A process that asks for a name and connects: what the counters must see."""
    code = "import socket; socket.create_connection(('api.example.org', 443), 5)"
    subprocess.run([sys.executable, "-c", code], check=True)


def mirror(run: Path) -> None:
    from fusefront.harness.jobs.mirror import Mirror
    from fusefront.harness.runs.tracking import USUAL, TrackingCard

    ours = Mirror(USUAL, "shop", lambda line: sys.stderr.write(line + "\n"))
    ours.send_run(run, TrackingCard(run.name, "late_fusion", "strategy", 0, "shop"))
    assert ours.close() == 0


def main() -> None:
    raise_loopback()
    answer_names()
    for port in (80, 443):
        listen(port)
    {"asking": asking, "mirror": mirror}[sys.argv[2]](Path(sys.argv[1]))
    time.sleep(2)
    sys.stdout.write(json.dumps({"names": names, "connections": connections}) + "\n")


if __name__ == "__main__":
    main()
