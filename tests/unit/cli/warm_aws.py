"""A server that runs AWS CLI commands without the CLI's start-up time.

It imports the CLI and reads the service models once. Each command runs in a fork of this process, which has
done nothing else before. Start the server with the interpreter that the CLI is installed for; it prints the
port on which it listens.

The server sends each client the name of a new folder. The client writes the command's arguments and
environment there (each value followed by NUL) and sends an empty line. The server writes the command's output
and errors to the same folder, and sends the exit code. When the client closes the connection, the server
removes the folder.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import botocore.session
from awscli.clidriver import create_clidriver  # type: ignore[import-not-found]
from awscli.clidriver import main as aws

SERVICES = ("drs", "ec2", "sts")
"""The services whose models are read before the first command."""


def read_service_models() -> None:
    """Let all later sessions share the models of the services: reading them takes longer than a command."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    session = create_clidriver().session
    for service in SERVICES:
        session.create_client(
            service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
        )


def words(file: Path) -> list[str]:
    return file.read_bytes().decode().split("\0")[:-1]


def answer(connection: socket.socket) -> None:
    """Run one client's command, in this fork of the server."""
    folder = Path(tempfile.mkdtemp())
    connection.sendall(f"{folder}\n".encode())
    connection.recv(1)
    data_path = os.environ["AWS_DATA_PATH"]  # the CLI set it on import, to where its own files are
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
    connection.recv(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    read_service_models()
    server = socket.create_server(("127.0.0.1", 0), backlog=16)
    print(server.getsockname()[1], flush=True)
    while True:
        taken, _ = server.accept()
        if os.fork() == 0:
            server.close()
            answer(taken)
            os._exit(0)
        taken.close()
