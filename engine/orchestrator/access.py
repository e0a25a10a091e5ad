"""Who may ask, and what nobody may see."""

from __future__ import annotations

import hmac

from engine.errors import Unauthenticated
from engine.models.access import Role
from engine.orchestrator.parts import Parts
from engine.settings import DEFAULT_TOKEN


class AccessVerbs(Parts):
    """Tokens and secrets."""

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self._secrets.mask().text(text)

    def is_allowed(self, token: str, *, from_loopback: bool, forwarded: bool) -> Role:
        """The role that the token carries; Unauthenticated says what is wrong without saying what would be right."""
        expected = self.settings.api_token
        given, known = (text.encode("utf-8", "surrogatepass") for text in (token, expected))
        if not given or not hmac.compare_digest(given, known):
            raise Unauthenticated("This needs the header 'Authorization: Bearer <token>' with a token that is known.")
        if expected == DEFAULT_TOKEN and (forwarded or not from_loopback):
            raise Unauthenticated(
                "The default token is accepted from the loopback interface only: set API_TOKEN to a token of your own."
            )
        return Role.ADMIN
