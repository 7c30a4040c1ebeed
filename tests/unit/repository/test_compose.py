"""docker-compose.yaml, Dockerfile and .env.example: what is held without starting anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from demo.compose_file import Service, read_compose_file
from demo.compose_stack import ComposeStack, new_project
from demo.dockerfile import read_dockerfile
from demo.env_file import read_env_file
from demo.processes import StackError
from demo.settings import OF_EVERY_DRILL
from demo.stack import REPOSITORY, Stack

COMPOSE_FILE = REPOSITORY / "docker-compose.yaml"
SECRETS = ("FERNET_KEY", "API_SECRET_KEY", "JWT_SECRET", "POSTGRES_PASSWORD", "ADMIN_PASSWORD")
ONCE = {"secrets", "airflow-init", "airflow-cli"}
"""Services that do their work and end."""
OF_PROFILES: dict[str, set[str]] = {
    "": set(),
    "simulator": {"simulator"},
    "flower": {"flower"},
    "debug": {"airflow-cli"},
}
"""The services that each profile adds."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder as a user makes it, with every profile."""
    (tmp_path / "project").mkdir()
    return new_project(tmp_path / "project", "flower", "debug")


@pytest.fixture
def services(project: Path) -> dict[str, Service]:
    return read_compose_file(project / "docker-compose.yaml", read_env_file(project / ".env"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_file_is_valid_by_the_compose_specification() -> None:
    """By the schema that the specification publishes, which refuses keys that it does not know."""
    schemas = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())
    document = yaml.safe_load(COMPOSE_FILE.read_text())
    jsonschema.validate(document, schema)
    document["services"]["redis"]["retsart"] = "always"
    with pytest.raises(jsonschema.ValidationError, match="retsart"):
        jsonschema.validate(document, schema)


def test_a_service_that_the_native_run_does_not_know_fails_it(project: Path, tmp_path: Path) -> None:
    """The file cannot get ahead of its proof: neither a service nor a key of one goes unseen."""
    edit(
        project / "docker-compose.yaml",
        "services:\n",
        'services:\n  statsd: {image: s, command: [s], restart: "no"}\n',
    )
    with pytest.raises(StackError, match="statsd"):
        ComposeStack(tmp_path / "home", project)
    edit(project / "docker-compose.yaml", 'restart: "no"}', 'restart: "no", entrypoint: [t]}')
    with pytest.raises(StackError, match="statsd has keys that are not understood: entrypoint"):
        ComposeStack(tmp_path / "home", project)


@pytest.mark.parametrize("profile", OF_PROFILES)
def test_a_profile_adds_its_service_and_nothing_else(project: Path, profile: str) -> None:
    """Without a profile none of them is there, and no other service waits for it."""
    variables = {**read_env_file(project / ".env"), "COMPOSE_PROFILES": profile}
    services = read_compose_file(COMPOSE_FILE, variables)
    assert services.keys() & set().union(*OF_PROFILES.values()) == OF_PROFILES[profile]
    assert {other for each in services.values() for other in each.depends_on} <= services.keys()


def test_every_service_that_lasts_is_watched_restarted_and_bounded(services: dict[str, Service]) -> None:
    """A health check, a restart policy, and a hint of the memory that it needs and may take."""
    lasting = {name for name, service in services.items() if service.is_lasting}
    assert lasting == services.keys() - ONCE
    document = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    for name in lasting:
        assert services[name].health, name
        assert document[name]["deploy"]["resources"].keys() == {"reservations", "limits"}, name


def test_no_service_has_a_right_of_root(services: dict[str, Service]) -> None:
    """Nor can one get any. Images of others run as their own user; ours say so themselves."""
    document = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    assert document.keys() == services.keys()
    for name, service in services.items():
        assert service.is_confined, name
        if service.target is None:
            assert document[name]["user"] not in ("root", "0"), name
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    stages = dockerfile.split("\nFROM ")
    for target in ("airflow", "simulator"):
        (stage,) = [stage for stage in stages if stage.splitlines()[0].endswith(f" AS {target}")]
        assert stage.rstrip().endswith("USER airflow"), target


@pytest.mark.parametrize("key", ["cap_add: [SYS_ADMIN]", "privileged: true", "cap_drop: [NET_RAW]"])
def test_a_right_that_a_service_gets_fails_the_native_run(project: Path, tmp_path: Path, key: str) -> None:
    """The native run would not show what the service may do with it."""
    edit(
        project / "docker-compose.yaml",
        "services:\n",
        f'services:\n  other: {{image: s, command: [s], restart: "no", {key}}}\n',
    )
    with pytest.raises(StackError, match=key.partition(":")[0]):
        ComposeStack(tmp_path / "home", project)


def test_plans_dags_and_checks_need_no_new_image(services: dict[str, Service], project: Path) -> None:
    """Each part of Airflow mounts them, cannot write there, and finds the checks on Python's path."""
    mounted = {"/opt/airflow/include": "./include", "/opt/airflow/dags": "./dags"}
    mounted["/opt/airflow/checks"] = "./checks"
    document = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    path = read_dockerfile(project / "Dockerfile", "airflow").environment["PYTHONPATH"].split(":")
    assert "/opt/airflow/checks" in path
    for name in services.keys() - {"secrets", "postgres", "redis", "simulator"}:
        assert mounted.items() <= services[name].mounts.items(), name
        assert {f"{source}:{target}:ro" for target, source in mounted.items()} <= set(
            document[name]["volumes"]
        )
    assert all((REPOSITORY / source).is_dir() for source in mounted.values())


def test_all_workers_share_the_folder_of_the_records_and_say_so(services: dict[str, Service]) -> None:
    """Otherwise preflight would warn of each drill."""
    for name in services.keys() - {"secrets", "postgres", "redis", "simulator"}:
        environment = services[name].environment
        assert environment["AIRFLOW__DRS__EVIDENCE_SHARED"] == "True", name
        assert services[name].mounts[environment["AIRFLOW__DRS__EVIDENCE_PATH"]] == "evidence", name


def test_everything_waits_for_the_secrets_and_airflow_for_its_database(services: dict[str, Service]) -> None:
    """What a service waits for, directly or by others, it waits for to be healthy or to have ended well."""

    def awaited(name: str) -> set[str]:
        direct = services[name].depends_on
        assert {services[other].is_lasting for other, how in direct.items() if how == "service_healthy"} <= {
            True
        }
        return set(direct).union(*(awaited(other) for other in direct))

    for name in services.keys() - {"secrets"}:
        assert "secrets" in awaited(name), name
    for name in services.keys() - ONCE - {"simulator", "postgres", "redis"}:
        assert awaited(name) >= {"airflow-init", "postgres", "redis"}, name
    assert awaited("airflow-worker") >= {"airflow-apiserver", "simulator"}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_comes_from_env_and_from_nowhere_else(project: Path, secret: str) -> None:
    """Missing in .env, it is asked for by name; another value reaches every place where it stands."""
    variables = read_env_file(project / ".env")
    with pytest.raises(StackError, match=f"^{secret} is missing"):
        read_compose_file(COMPOSE_FILE, {**variables, secret: ""})
    told = str(read_compose_file(COMPOSE_FILE, {**variables, secret: "another-one"}))
    assert "another-one" in told
    assert variables[secret] not in told


def test_the_examples_secrets_are_refused_before_a_database_is_made(project: Path, tmp_path: Path) -> None:
    """The message names each, and the way to good ones."""
    with (project / ".env").open("a") as env:
        env.writelines(f"{name}=change-me\n" for name in SECRETS[1:])
    stack = ComposeStack(tmp_path / "home", project)
    with pytest.raises(StackError, match=r"still those of \.env\.example") as refusal:
        stack.start()
    stack.stop()
    assert "API_SECRET_KEY JWT_SECRET POSTGRES_PASSWORD ADMIN_PASSWORD\n" in str(refusal.value)
    assert "bash deploy/compose/new-env.sh" in str(refusal.value)
    assert [log.name for log in stack.processes.logs.iterdir()] == ["secrets.log"]


def test_new_env_makes_a_secret_of_its_own_for_each_of_the_example(project: Path) -> None:
    """No two are alike, only their owner can read them, and they are never written over."""
    example, made = read_env_file(REPOSITORY / ".env.example"), read_env_file(project / ".env")
    assert {name for name, value in example.items() if value == "change-me"} == set(SECRETS)
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    assert re.fullmatch(r"[\w-]{43}=", made["FERNET_KEY"])
    assert all(re.fullmatch(r"[0-9a-f]{64}", made[name]) for name in SECRETS[1:])
    assert (project / ".env").stat().st_mode & 0o077 == 0
    again = subprocess.run(
        ["bash", project / "deploy/compose/new-env.sh"], capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr[:20]) == (1, ".env exists and is k")
    assert read_env_file(project / ".env") == made


def test_demo_and_compose_have_the_settings_of_every_drill(
    services: dict[str, Service], tmp_path: Path
) -> None:
    """Both take all of include/airflow.env, and neither has another value for one of them."""
    wanted = read_env_file(OF_EVERY_DRILL)
    demo = Stack(tmp_path / "home").environment
    of_airflow = [
        service for name, service in services.items() if name.startswith("airflow-") or name == "flower"
    ]
    for environment in [demo, *(service.environment for service in of_airflow)]:
        assert {name: environment[name] for name in wanted} == wanted


def test_each_image_is_built_for_one_service() -> None:
    """Some versions of Docker Compose build it for each service that asks for it, side by side, and fail."""
    bodies = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    built = [body["image"] for body in bodies.values() if "build" in body]
    assert len(built) == len(set(built)) == 2
    assert all(body["pull_policy"] == "never" for body in bodies.values() if "drs-drills:" in body["image"])


def test_the_image_holds_dags_and_plugins_and_no_simulator(project: Path) -> None:
    """The file that keeps Airflow's plugin manager out of drs/ is hidden, and easily left out."""
    airflow = read_dockerfile(project / "Dockerfile", "airflow")
    assert set(airflow.copies) == {"dags/", "plugins/", "include/", "deploy/compose/"}
    assert (project / airflow.copies["plugins/"] / ".airflowignore").is_file()
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    for target in ("airflow", "simulator"):
        for source in read_dockerfile(project / "Dockerfile", target).copies.values():
            assert f"!{Path(source).parts[0]}" in ignored, source
    assert [line for line in ignored[2:] if not line.startswith("!")] == ["**/__pycache__"]


def test_the_image_installs_what_uv_lock_pins() -> None:
    """By the version of uv that makes the tests' environment; in production without the simulator's moto."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    version = re.search(r"UV_VERSION=(\S+)", (REPOSITORY / ".ci" / "install").read_text())
    assert version
    assert f"uv=={version[1]}" in dockerfile
    installs = re.findall(r"uv sync (.*)", dockerfile)
    assert installs == [
        "--frozen --no-install-project --no-dev --extra distributed",
        "--frozen --no-install-project --no-dev --extra distributed --group simulator",
    ]
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    assert [requirement.partition("[")[0] for requirement in groups["simulator"]] == ["moto"]


REGISTRY = """#!/usr/bin/env bash
[ "$*" = "buildx imagetools inspect $4 --format {{.Manifest.Digest}}" ] || exit 64
printf '%s\\n' "$4" >> "$(dirname "$0")/asked"
[ "$4" != "$REFUSED" ] || { echo 'ERROR: not found' >&2; exit 1; }
echo "sha256:$(sha256sum <<< "$4$ROUND" | cut -c -64)"
"""
"""A program docker that knows one command."""
OF_OTHERS = {"python:3.11-slim-bookworm", "postgres:16-bookworm", "redis:7.2-bookworm"}


def pin(project: Path, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script of `make digests` with a registry that answers for every image."""
    (project / ".ci").mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / ".ci" / "image-digests", project / ".ci")
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(REGISTRY)
    (programs / "docker").chmod(0o755)
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "REFUSED": "", "ROUND": "", **environment}
    return subprocess.run(
        [project / ".ci/image-digests"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )


def test_base_images_are_pinned_to_the_digests_of_their_tags(project: Path, tmp_path: Path) -> None:
    """The tag stays beside the digest, for Dependabot and for people; a second time renews the digests. The
    stages of the Dockerfile and the images of our own stay as they are.
    """
    files = [project / "Dockerfile", project / "docker-compose.yaml"]
    before = [path.read_text() for path in files]
    assert pin(project, tmp_path).returncode == 0
    assert set((tmp_path / "bin" / "asked").read_text().split()) == OF_OTHERS
    first = [path.read_text() for path in files]
    assert pin(project, tmp_path, ROUND="2").returncode == 0
    second = [path.read_text() for path in files]
    for texts in (first, second):
        digests = re.findall(r"(\S+)(@sha256:[0-9a-f]{64})", "".join(texts))
        assert {image for image, _ in digests} == OF_OTHERS
        assert [re.sub(r"@sha256:[0-9a-f]{64}", "", text) for text in texts] == before
    assert first != second
    services = read_compose_file(files[1], read_env_file(project / ".env"))
    assert services["redis"].image.startswith("redis:7.2-bookworm@sha256:")
    assert read_dockerfile(files[0], "airflow").workdir == "/opt/airflow"


def test_a_digest_that_cannot_be_had_changes_no_file(project: Path, tmp_path: Path) -> None:
    """Not even for the images before it."""
    files = [project / "Dockerfile", project / "docker-compose.yaml"]
    before = [path.read_text() for path in files]
    assert pin(project, tmp_path, REFUSED="redis:7.2-bookworm").returncode != 0
    assert [path.read_text() for path in files] == before
