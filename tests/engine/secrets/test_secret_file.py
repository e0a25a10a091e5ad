"""secrets.yml: secrets by name, read again when it changes, and no value in any message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import OctoflowError, SecretMissing, SecretUnavailable
from engine.secrets.file import SecretFile
from engine.secrets.keeper import SecretKeeper

GOOD = """\
- name: snow
  type: credential
  username: bob
  password: 007
- {name: awx, type: token, token: canary-token}
- {name: jira, type: api_key, key: X-Key, value: 1e3, description: for the export}
- {name: vault, type: hashicorp-vault, uri: "https://v.example/v1/secret/data/x"}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "secrets.yml").write_text(GOOD)
    return tmp_path / "secrets.yml"


def test_a_secret_has_its_fields_as_they_are_written(path: Path) -> None:
    secrets = SecretFile(path)

    assert secrets.get("snow") == {"type": "credential", "username": "bob", "password": "007"}
    assert secrets.get("awx") == {"type": "token", "token": "canary-token"}
    assert secrets.get("jira") == {"type": "api-key", "key": "X-Key", "value": "1e3"}
    assert secrets.names() == ["snow", "awx", "jira", "vault"]
    assert secrets.problems() == []


def test_a_secret_that_is_not_there_is_named_with_those_that_are(path: Path) -> None:
    with pytest.raises(SecretMissing, match=r"secret 'x' is not in secrets.yml \(it has: snow, awx, jira, vault\)"):
        SecretFile(path).get("x")


def test_a_secret_in_vault_is_where_the_file_says(path: Path) -> None:
    assert SecretFile(path).get("vault") == {
        "type": "hashicorp-vault",
        "uri": "https://v.example/v1/secret/data/x",
    }


@pytest.mark.parametrize("content", ["", "# none yet\n", "[]"])
def test_no_secrets_are_no_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.yml").write_text(content)
    secrets = SecretFile(tmp_path / "secrets.yml")

    assert secrets.names() == secrets.problems() == []
    assert secrets.hidden() == ([], [])
    with pytest.raises(SecretMissing, match="it has: nothing"):
        secrets.get("x")


def test_a_missing_file_holds_no_secrets_and_says_which_file_is_missing(tmp_path: Path) -> None:
    secrets = SecretFile(tmp_path / "secrets.yml")

    assert secrets.names() == secrets.problems() == []
    with pytest.raises(SecretMissing, match=r"there is no secrets.yml \(SECRETS_PATH\)"):
        secrets.get("x")


def test_a_change_is_seen_and_the_old_value_stays_masked(path: Path) -> None:
    secrets = SecretFile(path)
    assert secrets.get("awx")["token"] == "canary-token"

    path.write_text(GOOD.replace("canary-token", "rotated-token"))

    assert secrets.get("awx")["token"] == "rotated-token"
    assert {"canary-token", "rotated-token"} <= set(secrets.hidden()[0])
    path.unlink()
    assert secrets.names() == []
    assert "rotated-token" in secrets.hidden()[0]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_seen(path: Path) -> None:
    secrets = SecretFile(path)
    secrets.get("awx")
    status = path.stat()
    new = path.with_name("new")
    new.write_text(GOOD.replace("canary-token", "yranac-token"))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))

    os.replace(new, path)

    assert secrets.get("awx")["token"] == "yranac-token"


def test_what_is_masked_are_values_and_not_names(path: Path) -> None:
    secrets = SecretFile(path)

    assert secrets.hidden() == (["007", "canary-token", "1e3"], [("bob", "007")])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{name: x, type: tokn, token: canary}",
            "line 2: type must be one of credential, token, api-key, hashicorp-vault",
        ),
        ("{name: x, token: canary}", "type must be one of"),
        ("{name: x, type: token}", "token must be given"),
        ("{name: x, type: token, token: ''}", "token must be given"),
        ("{name: x, type: token, token: [canary]}", "must be text"),
        ("{name: x, type: token, token: canary, bearer: canary}", "a secret of type token has token, not bearer"),
        ("{name: x, type: credential, password: canary}", "username must be given"),
        ("{name: x, type: token, token: canary}\n- {name: x, type: token, token: canary}", "'x' is there already"),
    ],
)
def test_one_wrong_secret_leaves_the_others_alone(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "secrets.yml").write_text(f"- {{name: ok, type: token, token: fine-token}}\n- {entry}\n")
    secrets = SecretFile(tmp_path / "secrets.yml")

    assert secrets.get("ok")["token"] == "fine-token"
    with pytest.raises(SecretUnavailable, match=r"secret 'x' is not available: secrets\.yml, line") as caught:
        secrets.get("x")
    assert message in str(caught.value)
    assert len(secrets.problems()) == 1
    assert "canary" not in str(caught.value)


def test_an_entry_without_a_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets.yml").write_text("- canary\n- {type: token, token: canary}\n")

    problems = SecretFile(tmp_path / "secrets.yml").problems()

    assert [problem.partition(": ")[0] for problem in problems] == ["secrets.yml, line 1", "secrets.yml, line 2"]
    assert "canary" not in str(problems)


@pytest.mark.parametrize(
    "content",
    [
        "- {name: x, type: token, token: *canary}",
        "- {name: x, type: token, token: !canary y}",
        "- token: canary: x",
        "- {token: 1, token: canary}",
        "- 'canary",
        "{canary: 1}",
        "canary",
        "a: &canary 1\nb: &canary 2",
        "\x07canary",
        "- canary: 1\n  canary: 2",
    ],
)
def test_a_broken_file_is_told_without_any_of_its_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.yml").write_text(content)
    secrets = SecretFile(tmp_path / "secrets.yml")

    with pytest.raises(SecretUnavailable, match=r"secret 'x' is not available: secrets.yml") as caught:
        secrets.get("x")
    assert "canary" not in str(caught.value)
    assert secrets.hidden()[0] == []


def test_a_file_broken_later_keeps_its_values_masked(path: Path) -> None:
    secrets = SecretFile(path)
    secrets.get("awx")

    path.write_bytes(b"\xff")

    with pytest.raises(SecretUnavailable, match="not_utf8"):
        secrets.get("awx")
    assert "canary-token" in secrets.hidden()[0]


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="cannot be read: Is a directory"):
        SecretFile(tmp_path).get("x")


@pytest.mark.parametrize("kind", ["pipe", "device", "endless"])
def test_what_is_no_file_or_has_no_end_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "secrets.yml"
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case "endless":
            place.touch()
            os.truncate(place, 1 << 40)

    [problem] = SecretFile(place).problems()

    assert problem.startswith("secrets.yml cannot be read: it ")
    with pytest.raises(SecretUnavailable):
        SecretFile(place).get("snow")
    assert SecretKeeper(place, also=["canary-token"]).mask().text("a canary-token") == "a ***"


def test_the_secrets_do_not_show_in_a_repr(path: Path) -> None:
    secrets = SecretFile(path)
    secrets.get("awx")

    assert "canary" not in repr(secrets) + repr(secrets.__dict__["_content"])


def test_the_keeper_masks_what_is_in_the_file_and_what_it_was_given(path: Path) -> None:
    keeper = SecretKeeper(path, ["the-api-token"])
    mask = keeper.mask()

    assert mask.text("canary-token the-api-token bob") == "*** *** bob"
    assert keeper.mask() is mask
    path.write_text(GOOD.replace("canary-token", "rotated-token"))
    assert keeper.mask().text("canary-token rotated-token") == "*** ***"
    assert keeper.get("snow")["username"] == "bob"
    with pytest.raises(OctoflowError):
        keeper.get("none")
