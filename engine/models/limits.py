"""What one job may use, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass

from engine.settings import Settings


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Sizes are bytes, or characters of text. It travels to the job's process as JSON."""

    data_path: str
    reserved: tuple[str, ...] = ()
    """Places that no flow may touch although they are below the data folder."""
    max_step_runs: int = 10_000
    max_flow_depth: int = 10
    max_loop_items: int = 10_000
    max_rendered_bytes: int = 10_000_000
    max_response_bytes: int = 10_000_000
    max_file_bytes: int = 100_000_000
    max_log_lines: int = 100_000
    max_recorded_steps: int = 1_000
    egress_deny: str = ""
    """Networks that no flow may reach, comma-separated; `egress_allow` are the only ones that it may, when given."""
    egress_allow: str = ""
    egress_cacert: str = ""

    @classmethod
    def of(cls, settings: Settings) -> RunLimits:
        """The limits that the settings give every job of a service."""
        database = str(settings.jobs_db_path)
        reserved = [
            settings.flows_path, settings.templates_path, settings.run_path,
            settings.log_path, settings.log_path / settings.log_file_name,
            settings.secrets_path, settings.config_file,
            database, f"{database}-wal", f"{database}-shm", f"{database}-journal",
        ]  # fmt: skip
        return cls(
            data_path=str(settings.data_path),
            reserved=tuple(map(str, reserved)),
            max_step_runs=settings.max_step_runs,
            max_flow_depth=settings.max_flow_depth,
            max_loop_items=settings.max_loop_items,
            max_rendered_bytes=settings.max_rendered_bytes,
            max_response_bytes=settings.max_response_bytes,
            max_file_bytes=settings.max_file_bytes,
            max_log_lines=settings.max_log_lines,
            max_recorded_steps=settings.max_recorded_steps,
            egress_deny=settings.egress_deny or "",
            egress_allow=settings.egress_allow or "",
            egress_cacert=str(settings.egress_cacert or ""),
        )
