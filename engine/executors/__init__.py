"""Where a claimed job runs."""
