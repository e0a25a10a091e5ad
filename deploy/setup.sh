#!/bin/sh
# Makes .venv with the exact versions of constraints.txt. `make` calls it when .venv is missing, older than what it is made from, or moved.
# PYTHON names the interpreter to use; without it the first one that is 3.11 or later is taken.
set -eu
cd "$(dirname "$0")/.."

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
say() { printf '%s\n' "$*" >&2; }

python= without_venv=
for candidate in ${PYTHON:+"$PYTHON"} $([ -n "${PYTHON:-}" ] || echo python3 python3.14 python3.13 python3.12 python3.11 python); do
    is_new_enough "$candidate" || continue
    if can_make_venv "$candidate"; then python=$candidate; break; fi
    without_venv=${without_venv:-$candidate}
done
if [ -z "$python" ]; then
    if [ -n "$without_venv" ]; then
        say "$without_venv cannot make virtual environments: its venv module is not installed." \
            "On Debian and Ubuntu: apt-get install python3-venv"
    elif [ -n "${PYTHON:-}" ]; then
        say "PYTHON=$PYTHON is not a Python 3.11 or later."
    else
        say "Octoflow needs Python 3.11 or later and found none. Install one, or name it: make PYTHON=/path/to/python3"
    fi
    exit 1
fi

# What is there is brought up to date; what was moved, or lost its interpreter, is made anew.
if [ "$(cat .venv/.ready 2>/dev/null)" = "$(pwd)" ] && is_new_enough .venv/bin/python; then
    say "Bringing .venv up to date"
else
    say "Setting up .venv with $("$python" --version) (once; one to three minutes)"
    "$python" -m venv --clear .venv
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check -qq "$@"; }
# The build tool comes from the constraints too, so that nothing is fetched that is not pinned.
pip install --constraint constraints.txt setuptools
pip install --constraint constraints.txt --no-build-isolation --compile --editable '.[dev]'
# Without bytecode a first start takes three to four times as long; pip compiled the rest.
.venv/bin/python -m compileall -q engine functions
pwd > .venv/.ready
