"""Who may ask, and what nobody may see."""

from __future__ import annotations

import hmac
import logging
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from engine.errors import Unauthenticated
from engine.models.access import API_TOKEN, Access, Role
from engine.orchestrator.audit import AuditVerbs
from engine.orchestrator.keys import KeyVerbs
from engine.settings import DEFAULT_TOKEN

if TYPE_CHECKING:
    from engine.orchestrator import Orchestrator

log = logging.getLogger("octoflow")

SHORTEST_TOKEN = 16


class AccessVerbs(KeyVerbs, AuditVerbs):
    """Tokens and secrets."""

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self._secrets.mask().text(text)

    def is_allowed(self, token: str, is_local: Callable[[], bool]) -> Access:
        """What the token opens; Unauthenticated says what is wrong without saying what would be right.

        Whether the caller is on this very machine is asked when it matters, which is with the default token.
        API_TOKEN is known without the database; a key is known for a few seconds once it was found.
        """
        expected = self.settings.api_token
        given, known = (text.encode("utf-8", "surrogatepass") for text in (token, expected))
        if not given or not hmac.compare_digest(given, known):
            key = self._key_of(token)
            if key is None:
                raise Unauthenticated(
                    "This needs the header 'Authorization: Bearer <token>' with a token that is known."
                )
            return Access(key.name, key.role, key.flows, key.id)
        if expected == DEFAULT_TOKEN and not is_local():
            raise Unauthenticated(
                "The default token is accepted from the loopback interface only: set API_TOKEN to a token of your own."
            )
        return Access(API_TOKEN, Role.ADMIN)

    def limited_to(self, flows: str) -> Orchestrator:
        """This engine as it is for whoever may reach only the documents that the glob means."""
        from engine.orchestrator.limited import Limited

        return cast("Orchestrator", Limited(cast("Orchestrator", self), flows))

    def _warn_of_open_doors(self) -> None:
        self._warn_of_short_token()
        self._warn_of_open_secrets()
        self._warn_of_missing_files()

    def _warn_of_missing_files(self) -> None:
        missing = self.settings.missing
        for variable in {"SECRETS_PATH", "CONFIG_FILE"} & missing.keys():
            log.warning("%s: there is no file %s.", variable, missing[variable])

    def _warn_of_open_secrets(self) -> None:
        path = self.settings.secrets_path
        try:
            is_open = path.stat().st_mode & stat.S_IROTH
        except OSError:
            return
        if is_open:
            log.warning("%s can be read by every user of this machine: chmod o-r %s", path.name, path)

    def _warn_of_short_token(self) -> None:
        token = self.settings.api_token
        if token != DEFAULT_TOKEN and len(token) < SHORTEST_TOKEN:
            log.warning(
                "API_TOKEN is shorter than %d characters, and may be guessed; "
                "python -c 'import secrets; print(secrets.token_urlsafe())' makes a better one.",
                SHORTEST_TOKEN,
            )
