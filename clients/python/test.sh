#!/bin/sh
# Runs every check of the Python client in a virtual environment of its own: types, style, tests.
#   ./test.sh [pytest arguments]
# PYTHON names the interpreter, VENV the folder for the environment, TIDEGATE_VECTORS the vectors' file
# (default: tests/vectors/frame-integrity.json of the repository), WEBSOCKETS a release of websockets to test with.
set -eu
cd "$(dirname "$0")"
venv="${VENV:-.venv}"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]' "websockets${WEBSOCKETS:+==$WEBSOCKETS}"
"$venv/bin/python" -m mypy
"$venv/bin/python" -m ruff check .
"$venv/bin/python" -m ruff format --check .
"$venv/bin/python" -m pytest "$@"
