"""The image and the files in deploy/: what can be said of them without an engine, a cluster or a cloud."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from deployments import DEPLOY, ROOT, compose, documents, pod_of, readme_commands, tick_scripts
from kubernetes_schemas import problems

from engine.settings import Settings

TESTED = {
    "audit.py": "test_audit.py",
    "cloud_run.sh": "test_deploy_cloud_run.py",
    "cloud_run.yml": "test_deploy_files.py",
    "compose.yml": "test_deploy_files.py",
    "constraints.sh": "test_deploy_files.py",
    "crontab": "test_deploy_clocks.py",
    "demo.py": "test_sample_data.py",
    "image_inside.py": "test_deploy_image.py",
    "image_test.sh": "test_deploy_image.py",
    "knative.yml": "test_deploy_files.py",
    "kubernetes.yml": "test_deploy_files.py",
    "serve.py": "test_deploy_clocks.py",
    "setup.sh": "test_deploy_files.py",
    "systemd/octoflow-tick.service": "test_deploy_clocks.py",
    "systemd/octoflow-tick.timer": "test_deploy_files.py",
    "systemd/octoflow.service": "test_deploy_files.py",
}
"""Each file and where the most is asked of it."""
FILES = sorted(
    path.relative_to(DEPLOY).as_posix()
    for path in DEPLOY.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
)
MANIFESTS = [("kubernetes.yml", kind) for kind in ("PersistentVolumeClaim", "Deployment", "Service", "CronJob")] + [
    ("knative.yml", kind) for kind in ("PersistentVolumeClaim", "CronJob")
]
SERVICES = [("kubernetes.yml", "Deployment"), ("knative.yml", "Service"), ("cloud_run.yml", "Service")]
PODS = [
    ("kubernetes.yml", "Deployment"),
    ("kubernetes.yml", "CronJob"),
    ("knative.yml", "Service"),
    ("knative.yml", "CronJob"),
]
ONLY_KNATIVE = {"containerConcurrency", "timeoutSeconds"}


def test_every_file_in_deploy_has_a_test() -> None:
    names = {path.name for path in (ROOT / "tests").rglob("test_*.py")}

    assert sorted(TESTED) == FILES
    assert set(TESTED.values()) <= names


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".sh")])
def test_a_script_is_one_that_sh_can_read_and_that_can_be_called(name: str) -> None:
    script = DEPLOY / name

    checked = subprocess.run(["sh", "-n", script], capture_output=True, text=True, timeout=10)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111


# Kubernetes, Knative, Cloud Run


@pytest.mark.parametrize(("name", "kind"), MANIFESTS)
def test_a_manifest_is_one_that_kubernetes_takes(name: str, kind: str) -> None:
    assert problems(documents(name)[kind], kind) == []


def test_a_manifest_with_a_misspelt_key_would_be_found() -> None:
    document = documents("kubernetes.yml")["CronJob"]
    document["spec"]["concurencyPolicy"] = "Forbid"

    assert problems(document, "CronJob") != []


@pytest.mark.parametrize("name", ["knative.yml", "cloud_run.yml"])
def test_a_serving_service_is_a_pod_with_its_own_limits(name: str) -> None:
    document = documents(name)["Service"]
    pod = pod_of(document)

    assert document["apiVersion"] == "serving.knative.dev/v1"
    assert set(document["spec"]) == {"template"}
    assert pod.keys() >= ONLY_KNATIVE
    assert problems({key: value for key, value in pod.items() if key not in ONLY_KNATIVE}, "PodSpec") == []


@pytest.mark.parametrize(("name", "kind"), PODS)
def test_a_pod_has_no_rights_that_it_does_not_need(name: str, kind: str) -> None:
    pod = pod_of(documents(name)[kind])

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize(("name", "kind"), SERVICES)
def test_a_service_is_probed_and_gets_its_token_from_a_secret(name: str, kind: str) -> None:
    (container,) = pod_of(documents(name)[kind])["containers"]
    variables = {variable["name"]: variable for variable in container["env"]}

    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["ports"][0]["containerPort"] == 5000
    assert variables["API_TOKEN"].keys() == {"name", "valueFrom"}
    assert variables["API_TOKEN"]["valueFrom"]["secretKeyRef"]["name"].startswith("octoflow")


@pytest.mark.parametrize(("name", "kind"), SERVICES)
def test_a_service_is_given_settings_that_exist_and_can_be_used(name: str, kind: str) -> None:
    (container,) = pod_of(documents(name)[kind])["containers"]
    given = {variable["name"]: variable.get("value", "postgresql://x") for variable in container["env"]}

    settings = Settings.from_environment(given)

    assert sorted(Settings.variables(given).values()) == sorted(given)
    jobs_and_service_mb = settings.flow_max_workers * settings.job_memory_mb + 256
    assert jobs_and_service_mb <= mebibytes(container["resources"]["limits"]["memory"])


def mebibytes(text: str) -> int:
    number, unit = int(text[:-2]), text[-2:]
    return number * {"Mi": 1, "Gi": 1024}[unit]


@pytest.mark.parametrize(("name", "kind"), SERVICES[:2])
def test_a_service_over_sqlite_is_ready_only_with_its_volume_and_is_one(name: str, kind: str) -> None:
    document = documents(name)[kind]
    pod = pod_of(document)
    claim = documents(name)["PersistentVolumeClaim"]["metadata"]["name"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    annotations = document["spec"]["template"]["metadata"].get("annotations", {})

    assert pod["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert mounts == {"data": "/data", "tmp": "/tmp"}
    assert pod["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    assert pod["securityContext"]["fsGroup"] == 65532
    assert document["spec"].get("replicas") == 1 or annotations["autoscaling.knative.dev/max-scale"] == "1"


def test_two_instances_on_kubernetes_never_share_the_volume_and_a_stop_has_its_time() -> None:
    deployment = documents("kubernetes.yml")["Deployment"]

    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert pod_of(deployment)["terminationGracePeriodSeconds"] >= Settings().stop_seconds + 10


def test_the_service_of_kubernetes_leads_to_its_pods() -> None:
    found = documents("kubernetes.yml")
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    ports = pod_of(found["Deployment"])["containers"][0]["ports"]
    ticked = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]

    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Service"]["spec"]["selector"] != ticked
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in {port["name"] for port in ports}
    assert f"http://{found['Service']['metadata']['name']}:5000/api/tick" in tick_scripts()["kubernetes.yml"]


@pytest.mark.parametrize("name", ["kubernetes.yml", "knative.yml"])
def test_a_cronjob_ticks_each_minute_and_one_that_hangs_is_given_up(name: str) -> None:
    spec = documents(name)["CronJob"]["spec"]
    pod = pod_of(documents(name)["CronJob"])

    assert spec["schedule"] == "* * * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert 10 <= spec["startingDeadlineSeconds"] <= 60
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 120
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "octoflow", "key": "api-token"}


def test_cloud_run_keeps_its_jobs_in_postgresql_and_gives_them_a_processor() -> None:
    document = documents("cloud_run.yml")["Service"]
    annotations = document["spec"]["template"]["metadata"]["annotations"]
    container = pod_of(document)["containers"][0]
    values = {variable["name"]: variable.get("value") for variable in container["env"]}

    assert "SQLALCHEMY_DATABASE_URI" in values
    assert annotations["run.googleapis.com/cpu-throttling"] == "false"
    assert annotations["autoscaling.knative.dev/minScale"] == "1"
    assert Settings(grace_seconds=int(values["GRACE_SECONDS"])).stop_seconds + 1 < 10, "what a stop has there"


# Compose


def test_compose_knows_what_it_names() -> None:
    found = compose()
    volumes = [volume.split(":")[0] for service in found["services"].values() for volume in service.get("volumes", [])]

    assert found.keys() == {"name", "services", "volumes"}
    assert {volume for volume in volumes if not volume.startswith(".")} == found["volumes"].keys()
    assert all((DEPLOY / volume).is_dir() for volume in volumes if volume.startswith("."))
    assert (DEPLOY / found["services"]["octoflow"]["build"] / "Dockerfile").is_file()
    assert found["services"]["clock"]["depends_on"] == {"octoflow": {"condition": "service_healthy"}}
    assert "http://octoflow:5000/api/tick" in tick_scripts()["compose.yml"]


def test_compose_reads_documents_that_are_there() -> None:
    environment = compose()["services"]["octoflow"]["environment"]
    places = [value for value in environment.values() if value.startswith("/documents/")]

    assert len(places) == 4
    assert all((ROOT / "data" / place.removeprefix("/documents/")).exists() for place in places)
    assert set(Settings.variables(environment).values()) == environment.keys()


@pytest.mark.parametrize("name", ["octoflow", "clock"])
def test_a_container_of_compose_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = compose()["services"][name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["environment"]["API_TOKEN"].startswith("${API_TOKEN:?")


def test_a_stop_by_compose_has_its_time() -> None:
    seconds = compose()["services"]["octoflow"]["stop_grace_period"].removesuffix("s")

    assert int(seconds) >= Settings().stop_seconds + 10


# systemd


def test_systemd_can_read_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    for unit in (DEPLOY / "systemd").iterdir():
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/octoflow/bin/octoflow", "/bin/true"))

    checked = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True, timeout=60
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_stop_by_systemd_has_its_time_and_asks_the_service_only() -> None:
    unit = (DEPLOY / "systemd" / "octoflow.service").read_text()

    assert "KillMode=mixed\n" in unit
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) >= Settings().stop_seconds + 10


def test_the_timer_asks_for_a_tick_each_minute() -> None:
    timer = (DEPLOY / "systemd" / "octoflow-tick.timer").read_text()

    assert "OnCalendar=minutely\n" in timer
    assert "WantedBy=timers.target\n" in timer


# The image


def test_the_image_runs_as_a_number_that_is_not_root_and_adds_nothing_from_elsewhere() -> None:
    instructions = [line.split(maxsplit=1) for line in dockerfile_lines()]
    last_stage = instructions[max(index for index, (name, _) in enumerate(instructions) if name == "FROM") :]

    assert [value for name, value in last_stage if name == "USER"] == ["65532:65532"]
    assert [name for name, _ in instructions if name == "ADD"] == []
    assert ["VOLUME", "/data"] in last_stage
    assert ["CMD", '["octoflow", "serve"]'] in last_stage
    assert not [value for name, value in instructions if re.search(r"token|password|secret", value, re.IGNORECASE)]


def test_the_image_is_built_from_what_dockerignore_lets_pass() -> None:
    copied = {
        source
        for name, value in (line.split(maxsplit=1) for line in dockerfile_lines())
        if name == "COPY" and "--from" not in value
        for source in value.split()[:-1]
    }
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    assert lines[0] == "*"
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)


def dockerfile_lines() -> list[str]:
    """One line for each instruction."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if line]


# The README


def test_the_readme_names_every_file_that_calls_the_tick() -> None:
    text = "\n".join(readme_commands("Run it every minute"))

    assert [name for name in FILES if name.endswith((".yml", "crontab")) and name not in text] == ["cloud_run.yml"]
    assert "deploy/cloud_run.sh" in text
    assert "octoflow serve --tick" in text
