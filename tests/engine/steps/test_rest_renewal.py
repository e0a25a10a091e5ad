"""A peer's 401: the secret is read anew, and the request sent once more if that changed anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import Handler, Peer, peer, send

from engine.errors import StepFailed

OLD = {"type": "token", "token": "old-token"}
NEW = {"type": "token", "token": "new-token"}


def admits(token: str) -> Callable[[Handler], None]:
    """Answers who has the token, refuses all others."""

    def answer(handler: Handler) -> None:
        if handler.headers.get("Authorization") == f"Bearer {token}":
            return send(handler, 200, {"in": True})
        return send(handler, 401, {"error": "who are you"})

    return answer


@pytest.fixture
def guarded() -> Iterator[Peer]:
    with peer(admits("new-token")) as made:
        yield made


@pytest.fixture
def call(fake_run: Any, read_step: Any) -> Callable[..., Any]:
    """Runs a `rest` step whose secret is the old one, and the other when it is read anew; the run and the value."""

    def call(uri: str, renewed: Any = NEW, **options: Any) -> tuple[Any, Any]:
        run = fake_run(secrets={"awx": OLD}, renewed={"awx": renewed})
        authentication = {"type": "token", "secret": "awx"}
        return run, read_step("rest", uri=uri, authentication=authentication, **options).options.run(run)

    return call


def tokens(made: Peer) -> list[str | None]:
    return [asked.headers.get("Authorization") for asked in made.asked]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_secret_that_changed_is_sent_once_more(guarded: Peer, call: Any, method: str) -> None:
    body = {"a": 1} if method == "POST" else None

    run, value = call(f"{guarded.url}/x?q=1", method=method, body=body)

    assert value == {"in": True}
    assert tokens(guarded) == ["Bearer old-token", "Bearer new-token"]
    first, second = guarded.asked
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    assert [level for level, _ in run.logged] == ["info"]


def test_a_secret_that_is_the_same_is_not_sent_again(guarded: Peer, call: Any) -> None:
    with pytest.raises(StepFailed, match="answered 401"):
        call(guarded.url, renewed=OLD)

    assert tokens(guarded) == ["Bearer old-token"]


def test_a_second_refusal_is_the_end(guarded: Peer, call: Any) -> None:
    guarded.answer = admits("another-token")

    with pytest.raises(StepFailed, match="answered 401"):
        call(guarded.url)

    assert tokens(guarded) == ["Bearer old-token", "Bearer new-token"]


@pytest.mark.parametrize("status", [400, 403, 407, 500, 503])
def test_another_status_asks_for_no_secret(guarded: Peer, call: Any, status: int) -> None:
    guarded.answer = lambda handler: send(handler, status)

    with pytest.raises(StepFailed, match=f"answered {status}"):
        call(guarded.url, method="POST")

    assert len(guarded.asked) == 1


def test_a_request_without_a_secret_is_sent_once(guarded: Peer, fake_run: Any, read_step: Any) -> None:
    with pytest.raises(StepFailed, match="answered 401"):
        read_step("rest", uri=guarded.url, headers={"Authorization": "Bearer x"}).options.run(fake_run())

    assert len(guarded.asked) == 1


def test_a_refusal_behind_a_redirect_is_the_end_for_the_first_peer_may_have_acted(guarded: Peer, call: Any) -> None:
    refuse = guarded.answer
    guarded.answer = lambda handler: send(handler, 303, Location="/in") if handler.path == "/" else refuse(handler)

    with pytest.raises(StepFailed, match="answered 401"):
        call(f"{guarded.url}/", method="POST", follow_redirects=True)

    assert [asked.path for asked in guarded.asked] == ["/", "/in"]


def test_a_secret_that_cannot_be_read_anew_leaves_the_refusal_and_says_so(
    guarded: Peer, fake_run: Any, read_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_run(secrets={"awx": OLD})
    monkeypatch.setattr(run, "secret", lambda name, fresh=False: _unavailable() if fresh else OLD)

    with pytest.raises(StepFailed, match="answered 401"):
        read_step("rest", uri=guarded.url, authentication={"type": "token", "secret": "awx"}).options.run(run)

    ((level, line),) = run.logged
    assert level == "warning"
    assert line.endswith("answered 401, and secret 'awx' is not available (503)")


def _unavailable() -> Any:
    raise StepFailed("secret 'awx' is not available (503)")


def test_a_new_secret_that_may_not_travel_there_stays(guarded: Peer, call: Any) -> None:
    with pytest.raises(StepFailed, match="may not travel"):
        call(guarded.url, renewed={**NEW, "hosts": "elsewhere.example.com"})

    assert tokens(guarded) == ["Bearer old-token"]


def test_both_requests_have_one_deadline(guarded: Peer, call: Any) -> None:
    refuse = guarded.answer

    def slow(handler: Handler) -> None:
        guarded.over.wait(0.4 if len(guarded.asked) == 1 else 30)
        refuse(handler)

    guarded.answer = slow

    with pytest.raises(StepFailed, match=r"no complete answer within 0\.8 s"):
        call(guarded.url, timeout_seconds=0.8)

    assert len(guarded.asked) == 2


def test_a_key_whose_header_has_another_name_takes_the_place_of_the_old_one(
    guarded: Peer, fake_run: Any, read_step: Any
) -> None:
    guarded.answer = lambda handler: send(handler, 200 if handler.headers.get("X-New") else 401, {})
    run = fake_run(
        secrets={"key": {"type": "api-key", "key": "X-Old", "value": "k1"}},
        renewed={"key": {"type": "api-key", "key": "X-New", "value": "k2"}},
    )

    read_step("rest", uri=guarded.url, authentication={"type": "api-key", "secret": "key"}).options.run(run)

    assert guarded.asked[0].headers["X-Old"] == "k1"
    assert "X-Old" not in guarded.asked[1].headers
