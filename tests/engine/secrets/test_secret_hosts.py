"""`hosts:` on a secret: where it may travel, checked when the file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SecretUnavailable
from engine.secrets.file import SecretFile


def secrets(tmp_path: Path, entry: str) -> SecretFile:
    (tmp_path / "secrets.yml").write_text(f"- {entry}\n")
    return SecretFile(tmp_path / "secrets.yml")


@pytest.mark.parametrize(
    "fields",
    [
        "type: token, token: canary-token",
        "type: credential, username: ann, password: canary-password",
        "type: api_key, key: X-Key, value: canary-value",
        'type: hashicorp-vault, uri: "https://v.example/v1/secret/data/x"',
    ],
)
def test_a_secret_of_any_type_may_name_its_hosts(tmp_path: Path, fields: str) -> None:
    file = secrets(tmp_path, f'{{name: x, {fields}, hosts: [AWX.example.com, "*.example.org:8443", "[::1]"]}}')

    assert file.get("x")["hosts"] == "awx.example.com,*.example.org:8443,[::1]"
    assert file.problems() == []


def test_a_secret_without_hosts_has_no_such_field(tmp_path: Path) -> None:
    assert "hosts" not in secrets(tmp_path, "{name: x, type: token, token: canary-token}").get("x")


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("example.com", "hosts must be a list of host names"),
        ("[]", "hosts must be a list of host names"),
        ("", "hosts must be a list of host names"),
        ("{a: b}", "hosts must be a list of host names"),
        ("[[a]]", "hosts must be a list of host names"),
        ('["https://example.com"]', "'https://example.com' is no host"),
        ('["*"]', "'*' is no host"),
        ('["a.org,b.org"]', "'a.org,b.org' is no host"),
        ('["a.org:0"]', "'a.org:0' is no host"),
    ],
)
def test_hosts_that_cannot_be_make_the_secret_unavailable(tmp_path: Path, hosts: str, message: str) -> None:
    file = secrets(tmp_path, f"{{name: x, type: token, token: canary-token, hosts: {hosts}}}")

    with pytest.raises(SecretUnavailable) as raised:
        file.get("x")

    assert f"secret 'x' is not available: secrets.yml, line 1: {message}" in str(raised.value)
    assert "canary" not in str(raised.value)
