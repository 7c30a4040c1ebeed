"""How each service of `docker-compose.yaml` runs without a container, which the file cannot say."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.processes import StackError
from demo.settings import HOST

LISTENS = "{port}"


@dataclass(frozen=True)
class Native:
    """Where a service listens, and what keeps it on a free port of the loopback interface.

    :param port: its port in the container; None if it has none.
    :param environment: further variables; ``{port}`` is replaced by the free port.
    :param arguments: further arguments of its command, likewise.
    :param workdir: where an image of others lets its command run.
    """

    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    workdir: str = "/"


SERVICES = {
    "secrets": Native(),
    "postgres": Native(5432, {"PGHOST": HOST, "PGPORT": LISTENS}),
    "redis": Native(6379, arguments=("--bind", HOST, "--port", LISTENS), workdir="/data"),
    "airflow-init": Native(),
    "airflow-apiserver": Native(8080, {"AIRFLOW__API__HOST": HOST, "AIRFLOW__API__PORT": LISTENS}),
    "airflow-scheduler": Native(
        8974,
        {
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": HOST,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": LISTENS,
        },
    ),
    "airflow-dag-processor": Native(),
    "airflow-triggerer": Native(8794, {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": LISTENS}),
    "airflow-worker": Native(8793, {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": LISTENS}),
    "airflow-cli": Native(),
    "flower": Native(5555, {"AIRFLOW__CELERY__FLOWER_HOST": HOST, "AIRFLOW__CELERY__FLOWER_PORT": LISTENS}),
    "simulator": Native(5777),
}

PROGRAMS = ("postgres", "initdb", "pg_isready", "redis-server", "redis-cli", "curl", "setpriv")


def search_path() -> str:
    """PATH with the folders in which Debian keeps PostgreSQL's programs, newest last version first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    return os.pathsep.join([*map(str, found), os.environ.get("PATH", os.defpath)])


def missing_programs() -> list[str]:
    """The programs that are needed and not installed; `.ci/services` installs them."""
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


def confined(as_other: bool = False) -> tuple[str, ...]:
    """What a command is put after to run as in a container without capabilities and new privileges.

    :param as_other: it runs as a user who is not root, and so has none that it could lose
    """
    is_root = os.geteuid() == 0 and not as_other
    none = ("--bounding-set=-all", "--inh-caps=-all") if is_root else ()
    return ("setpriv", "--no-new-privs", *none, "--")


class PostgresHome:
    """A folder for a database, of a user other than root, as which PostgreSQL refuses to run.

    It stands in the folder for temporary files itself, since that user may not look into folders of root.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="drs-drills-postgres-"))
        self.as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise StackError("PostgreSQL does not run as root, and there is no user postgres.") from None
            os.chown(self.path, user.pw_uid, user.pw_gid)
            ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}")
            self.as_user = ("setpriv", *ids, "--clear-groups", "--")

    def first_start(self) -> list[str]:
        """What the image does before the server's first start: the user with its password, the database."""
        script = """
            password=$(mktemp) && printf %s "$POSTGRES_PASSWORD" > "$password"
            initdb --username="$POSTGRES_USER" --pwfile="$password" --auth=scram-sha-256 --encoding=UTF8
            rm "$password"
            echo "unix_socket_directories = '$PGDATA'" >> "$PGDATA/postgresql.conf"
            echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single postgres
        """
        return [*self.as_user, "bash", "-euc", script]

    def remove(self) -> None:
        """Remove it with the database."""
        shutil.rmtree(self.path, ignore_errors=True)
