"""`ComposeStack`: the services of `docker-compose.yaml` as native processes on loopback, without Docker.

Commands, environments, health checks and conditions are the file's own; folders and variables of the images
are the Dockerfile's. Only names of hosts, ports and the root of each container's folders are others than in a
container; `natively.py` says which.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from demo.airflow_api import AirflowApi
from demo.compose_file import Service, read_compose_file
from demo.dockerfile import read_dockerfile
from demo.env_file import read_env_file
from demo.installation import Installation
from demo.natively import LISTENS, SERVICES, Native, PostgresHome, confined, search_path
from demo.processes import Processes, StackError
from demo.settings import HOST, clean_environment
from demo.simulator_client import Simulator
from demo.stack import REPOSITORY, free_ports, heartbeat
from drs.cli.airflow_api import AirflowError, Login

START_TIMEOUT = 240.0
"""Seconds in which a service must be healthy; on two cores all of them need them at once."""

HEARTBEATS = {
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}
"""Services that a predecessor's last heartbeat lets look healthy, with their names in Airflow's report."""


@dataclass(frozen=True)
class Container:
    """One container of a service, as a process.

    :param root: the folder that serves as its file system.
    :param workdir: where its command runs.
    """

    name: str
    service: Service
    native: Native
    port: int | None
    root: Path
    workdir: Path


class ComposeStack(Installation):
    """An installation by the compose file of a project folder, with the `.env` that stands there.

    :param home: a folder of its own, for all that the services write.
    :param project: the folder of docker-compose.yaml.
    :raises StackError: the file has a service that nobody knows how to run, or cannot be used.
    """

    def __init__(self, home: Path, project: Path) -> None:
        self.home = home.resolve()
        self.project = project.resolve()
        self.variables = read_env_file(project / ".env")
        self.services = read_compose_file(project / "docker-compose.yaml", self.variables)
        if unknown := self.services.keys() - SERVICES.keys():
            raise StackError(
                f"docker-compose.yaml has services unknown here: {', '.join(sorted(unknown))}. "
                "Say in demo/natively.py how they run without a container."
            )
        if "simulator" not in self.services:
            raise StackError("Its .env lacks COMPOSE_PROFILES=simulator: this would reach AWS.")
        self.containers = {container.name: container for container in self._containers()}
        self.components = [each.name for each in self.containers.values() if each.service.is_lasting]
        self.processes = Processes(self.home / "components", clean_environment())
        port = self.containers["airflow-apiserver"].port
        login = Login(user="admin", password=self.variables["ADMIN_PASSWORD"])
        self.api = AirflowApi(f"http://{HOST}:{port}", login)
        simulator = self.containers["simulator"]
        self.simulator = Simulator(f"http://{HOST}:{simulator.port}", self.variables["AWS_ACCESS_KEY_ID"])
        self._database: PostgresHome | None = None

    def start(self) -> None:
        self._lay_out()
        pending, met = dict(self.containers), dict[str, set[str]]()
        while pending:
            ready = [
                each
                for each in pending.values()
                if all(how in met.get(other, ()) for other, how in each.service.depends_on.items())
            ]
            if not ready:
                raise StackError(f"These services wait for each other: {', '.join(pending)}.")
            for container in ready:
                self._launch(container.name)
            for container in ready:
                self._await_condition(container)
                del pending[container.name]
            for name in {container.service.name for container in ready}:
                lasting = {"service_started", "service_healthy"}
                met[name] = lasting if self.services[name].is_lasting else {"service_completed_successfully"}

    def stop(self) -> None:
        super().stop()
        if self._database is not None:
            self._database.remove()

    def run(self, component: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container of a service, as `docker compose run` does."""
        container = self.containers[component]
        return subprocess.run(
            [*confined(), *(self._native(text, container) for text in command)],
            env=self._environment(container),
            cwd=container.workdir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
            check=False,
        )

    def _containers(self) -> list[Container]:
        found, ports = [], iter(free_ports(32))
        for service in self.services.values():
            native = SERVICES[service.name]
            for number in range(1, service.replicas + 1):
                name = service.name if service.replicas == 1 else f"{service.name}-{number}"
                root = self.home / "containers" / name
                workdir = native.workdir
                if service.target is not None:
                    workdir = read_dockerfile(self.project / "Dockerfile", service.target).workdir
                port = None
                if native.port is not None:
                    port = service.ports.get(native.port) or next(ports)
                found.append(Container(name, service, native, port, root, root / workdir.lstrip("/")))
        return found

    def _lay_out(self) -> None:
        """Give every container the folders of its image, and those that are mounted."""
        for container in self.containers.values():
            container.workdir.mkdir(parents=True)
            if container.service.target is not None:
                image = read_dockerfile(self.project / "Dockerfile", container.service.target)
                for destination, source in image.copies.items():
                    shutil.copytree(self.project / source, container.workdir / destination)
            for target, source in container.service.mounts.items():
                volume = self.home / "volumes" / source
                if source.startswith("./"):
                    volume = self.project / source
                volume.mkdir(parents=True, exist_ok=True)
                mounted = container.root / target.lstrip("/")
                if mounted.is_dir():
                    shutil.rmtree(mounted)
                mounted.parent.mkdir(parents=True, exist_ok=True)
                mounted.symlink_to(volume)

    def _launch(self, component: str) -> None:
        container = self.containers[component]
        command = [*container.service.command, *container.native.arguments]
        command = [self._native(text, container) for text in command]
        environment, directory = self._environment(container), container.workdir
        if container.service.name == "postgres":
            if self._database is None:
                self._database = PostgresHome()
            directory = self._database.path
            environment["PGDATA"] = str(directory / "data")
            if not (directory / "data").exists():
                first = self._database.first_start()
                self.processes.run(
                    f"{component}-first-start",
                    first,
                    START_TIMEOUT,
                    environment=environment,
                    directory=directory,
                )
            command = [*self._database.as_user, *confined(bool(self._database.as_user)), *command]
        elif container.service.is_confined:
            command = [*confined(), *command]
        self.processes.start(component, command, environment=environment, directory=directory)

    def _environment(self, container: Container) -> dict[str, str]:
        environment = {**clean_environment(), "HOSTNAME": container.name}
        of_container = dict(container.service.environment)
        if container.service.target is not None:
            image = read_dockerfile(self.project / "Dockerfile", container.service.target)
            of_container = {**image.environment, **of_container}
            del of_container["PATH"]  # this Python's environment, made of the same lock, is the image's
        environment |= {**of_container, **container.native.environment}
        environment["PATH"] = f"{clean_environment()['PATH']}:{search_path()}"
        return {key: self._native(value, container) for key, value in environment.items()}

    def _native(self, text: str, container: Container) -> str:
        """What the container calls so, by its name outside."""
        for other in self.containers.values():
            address = rf"(?<![\w.-]){other.service.name}:{other.native.port}(?!\d)"
            text = re.sub(address, f"{HOST}:{other.port}", text)
        own = container.native.port
        if own is not None:
            text = re.sub(rf"\blocalhost:{own}\b", f"{HOST}:{container.port}", text)
            text = str(container.port) if text in (str(own), LISTENS) else text
        if container.service.target is not None:
            text = text.replace("/opt/airflow", str(container.root / "opt/airflow"))
        return text.replace("0.0.0.0", HOST)  # noqa: S104 (it is the other way round)

    def _await_condition(self, container: Container) -> None:
        if container.service.is_lasting:
            self._await_health(container)
        else:
            self.processes.finish(container.name, START_TIMEOUT)

    def _await_health(self, container: Container) -> None:
        check = container.service.health
        if check is None:
            raise StackError(f"{container.name} runs for ever and has no health check.")
        command = [self._native(text, container) for text in check.command]
        environment, looked = self._environment(container), 0.0

        def is_healthy() -> bool:
            nonlocal looked
            if time.monotonic() < looked + check.every:
                return False
            try:
                ended = subprocess.run(
                    command,
                    env=environment,
                    cwd=container.workdir,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=check.timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False
            finally:
                looked = time.monotonic()
            return ended.returncode == 0

        self.processes.wait(container.name, is_healthy, START_TIMEOUT, "become healthy")

    def _await(self, component: str, started: float) -> None:
        container = self.containers[component]
        self._await_health(container)
        reported = HEARTBEATS.get(container.service.name)

        def is_seen() -> bool:
            try:
                return reported is None or heartbeat(self.api.health(), reported) >= started
            except AirflowError:
                return False

        self.processes.wait(component, is_seen, START_TIMEOUT, "give a sign of life")


def new_project(folder: Path, *profiles: str) -> Path:
    """A copy of this repository's compose project in `folder`, with a `.env` of its own, as a user makes it.

    :param profiles: those that are started besides `simulator`.
    """
    for name in ("docker-compose.yaml", "Dockerfile", ".env.example"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("dags", "plugins", "include", "checks", "simulator", "deploy"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        ["bash", folder / "deploy/compose/new-env.sh", "simulator"], check=True, capture_output=True
    )
    api_server, flower = free_ports(2)
    changed = {
        "AIRFLOW_PORT": str(api_server),
        "AIRFLOW_URL": f"http://{HOST}:{api_server}",
        "FLOWER_PORT": str(flower),
        "COMPOSE_PROFILES": ",".join(["simulator", *profiles]),
    }
    with (folder / ".env").open("a", encoding="utf-8") as env:
        env.writelines(f"{name}={value}\n" for name, value in changed.items())
    return folder
