"""The AWS CLI without its start: one process imports it once, and a copy of that process runs each command.

Run by the interpreter that the CLI is installed for. Prints the port on which it listens. A client writes a
folder's name; in it stand the command's arguments and environment (NUL after each), there its output is put,
and its exit code comes back.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from awscli.clidriver import main as aws  # type: ignore[import-not-found]


def words(file: Path) -> list[str]:
    return file.read_bytes().decode().split("\0")[:-1]


def answer(connection: socket.socket) -> None:
    """Run one command, in this copy of the process."""
    with connection.makefile("r") as asked:
        folder = Path(asked.readline().rstrip("\n"))
    data_path = os.environ["AWS_DATA_PATH"]  # where the CLI, when imported, said that its own files are
    os.environ.clear()
    os.environ.update(word.partition("=")[::2] for word in words(folder / "environment"))
    os.environ["AWS_DATA_PATH"] = data_path
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    sys.argv = ["aws", *words(folder / "arguments")]
    try:
        code = aws()
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{code or 0}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.create_server(("127.0.0.1", 0), backlog=16)
    print(server.getsockname()[1], flush=True)
    while True:
        taken, _ = server.accept()
        if os.fork() == 0:
            server.close()
            answer(taken)
            os._exit(0)
        taken.close()
