"""Secrets in Vault through a real service: used by a flow, and in no byte that stays; and with the real Vault."""

from __future__ import annotations

import base64
import gc
import json
import time
import warnings
from contextlib import closing

import pytest
from peers import peer, send
from services import flow
from vault_server import STATUS_BODY, TOKEN, VaultServer

from engine.clock import Clock
from engine.errors import SecretUnavailable
from engine.secrets.vault import Vault

PASSWORD = "canary-pass/1"
API_KEY = "canary key 2"
UNUSED = "canary-unused-3"
REAL_TOKEN = "hvs.octoflow-test-root"


@pytest.fixture
def echo():
    """Answers with its headers, and from the second time on, with everything that was read from Vault by then."""

    def answer(handler):
        again = [PASSWORD, API_KEY, UNUSED, TOKEN] if len(made.asked) > 1 else [PASSWORD, UNUSED, TOKEN]
        send(handler, 200, {"headers": dict(handler.headers), "again": again})

    with peer(answer) as made:
        yield made


@pytest.fixture
def vault():
    server = VaultServer()
    yield server
    server.close()


def step(url: str, secret: str, kind: str) -> str:
    options = f"{{uri: '{url}/', authentication: {{type: {kind}, secret: {secret}}}}}"
    return f"  - {{name: {secret}, type: rest, rest: {options}}}\n"


def test_a_flow_uses_secrets_from_vault_and_none_of_them_stays(data, start, echo, vault):
    both = vault.put("secret/data/both", login=f"robert:{PASSWORD}", more={"unused": UNUSED})
    plain = vault.put("secret/data/plain", key="X-Api-Key", value=API_KEY)
    refused = vault.uri("secret/data/refused")
    vault.statuses["secret/data/refused"] = 403
    expression = '.login | split(":") | {username: .[0], password: .[1]}'
    secrets = [
        {"name": "both", "type": "hashicorp-vault", "uri": both, "jq_expression": expression},
        {"name": "plain", "type": "hashicorp-vault", "uri": plain},
        {"name": "refused", "type": "hashicorp-vault", "uri": refused},
        {"name": "odd", "type": "hashicorp-vault", "uri": both, "jq_expression": ".login | tonumber"},
    ]
    (data / "secrets.yml").write_text(json.dumps(secrets))
    steps = (
        step(echo.url, "both", "basic")
        + step(echo.url, "plain", "api-key")
        + step(echo.url, "both", "basic").replace("name: both", "name: once more")
    )
    flow(data, "good.yml", f"name: good\nsteps:\n{steps}  - {{name: show, type: debug, debug: {{type: json}}}}\n")
    flow(data, "refused.yml", f"name: refused\nsteps:\n{step(echo.url, 'refused', 'token')}")
    flow(data, "odd.yml", f"name: odd\nsteps:\n{step(echo.url, 'odd', 'basic')}")
    service = start(LOG_LEVEL="DEBUG", HASHICORP_VAULT_TOKEN=TOKEN)

    jobs = [service.run(f"{name}.yml") for name in ("good", "refused", "odd")]
    logs = [service.get(f"/api/jobs/{job['id']}/logs").text for job in jobs]
    service.stop()

    good, refused_job, odd = jobs
    assert good["status"] == "success", good
    sent = base64.b64encode(f"robert:{PASSWORD}".encode()).decode()
    assert [asked.headers.get("Authorization") for asked in echo.asked] == [f"Basic {sent}", None, f"Basic {sent}"]
    assert echo.asked[1].headers["X-Api-Key"] == API_KEY
    assert vault.asked["secret/data/both"] == 1
    assert refused_job["errors"][0]["error"] == "step 'refused': secret 'refused' is not available (403)"
    assert odd["errors"][0]["error"].endswith("'odd' is not available: its jq_expression fails on what Vault gave")
    kept = {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    kept["service log"] = service.log.read_bytes()
    kept |= {f"answer {n}": text.encode() for n, text in enumerate([*map(json.dumps, jobs), *logs])}
    forms = [PASSWORD, PASSWORD.replace("/", "%2F"), API_KEY, UNUSED, TOKEN, STATUS_BODY, sent]
    assert [(name, form) for name, content in kept.items() for form in forms if form.encode() in content] == []
    assert "***" in json.dumps(good)


def docker_trouble() -> str | None:
    """Why no Docker engine answers; None when one does. Its client leaves a socket open when none does."""
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with closing(docker.from_env(timeout=3)) as client:
                client.ping()
            trouble = None
        except (DockerException, OSError) as error:
            trouble = type(error).__name__
        gc.collect()
    return trouble


@pytest.fixture(scope="module")
def real_vault():
    """The address of a real Vault in development mode; skips where no Docker engine answers, in CI too: it has none."""
    import requests

    if trouble := docker_trouble():
        pytest.skip(f"no Docker engine answers, so there is no real Vault ({trouble})")
    from testcontainers.core.container import DockerContainer

    container = DockerContainer("hashicorp/vault:1.20").with_exposed_ports(8200)
    container.with_env("VAULT_DEV_ROOT_TOKEN_ID", REAL_TOKEN).with_env("SKIP_SETCAP", "true")
    with container:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8200)}"
        deadline = time.monotonic() + 60
        while True:
            try:
                if requests.get(f"{url}/v1/sys/health", timeout=2).status_code == 200:
                    break
            except requests.RequestException:
                pass
            if time.monotonic() > deadline:
                pytest.fail("Vault did not come up within 60 s")
            time.sleep(0.2)
        yield url


def test_the_real_vault_gives_kv_v2_and_v1_and_refuses(real_vault):
    import requests

    session = requests.Session()
    session.headers["X-Vault-Token"] = REAL_TOKEN
    session.post(f"{real_vault}/v1/sys/mounts/old", json={"type": "kv", "options": {"version": "1"}}).raise_for_status()
    session.post(f"{real_vault}/v1/secret/data/a/b", json={"data": {"token": "two"}}).raise_for_status()
    session.post(f"{real_vault}/v1/old/a", json={"token": "one"}).raise_for_status()
    session.close()
    vault = Vault(REAL_TOKEN, 60, Clock())

    assert vault.read("x", f"{real_vault}/v1/secret/data/a/b") == {"token": "two"}
    assert vault.read("x", f"{real_vault}/v1/old/a") == {"token": "one"}
    with pytest.raises(SecretUnavailable, match=r"^secret 'x' is not available \(404\)$"):
        vault.read("x", f"{real_vault}/v1/secret/data/none")
    with pytest.raises(SecretUnavailable, match=r"^secret 'x' is not available \(403\)$"):
        Vault("hvs.another", 60, Clock()).read("x", f"{real_vault}/v1/secret/data/a/b")
