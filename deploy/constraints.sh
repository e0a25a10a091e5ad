#!/bin/sh
# Renews constraints.txt: the newest versions that pyproject.toml allows, tried in an environment of their own.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

.venv/bin/python -m venv "$scratch/venv"
pip() { "$scratch/venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
pip install --upgrade pip setuptools
pip install --editable '.[dev]'
{
    echo "# Exact versions of all that Octoflow, its extras and its tools stand on. Every install uses this file."
    echo "# Renew it with: make constraints && make check"
    pip freeze --all --exclude pip --exclude octoflow
} > "$scratch/constraints.txt"
cp "$scratch/constraints.txt" constraints.txt
