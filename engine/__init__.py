"""Octoflow's engine: flows, jobs and the clock, without HTTP."""

__version__ = "0.1.0"
