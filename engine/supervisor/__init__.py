"""One job from its claim to its finished row: lease, deadline, stop, kill, result.

The supervisor lives in the service, not in the job's process: a jq program holds its process's only interpreter lock,
and whoever shares that lock can neither renew a lease nor keep a deadline. It gets workers to talk to and knows no
process.
"""

from __future__ import annotations

from engine.supervisor.row import LEASE, LeaseLost
from engine.supervisor.supervision import Supervision
from engine.supervisor.tools import Observer, Tools, Worker, Workers

__all__ = ["LEASE", "LeaseLost", "Observer", "Supervision", "Tools", "Worker", "Workers"]
