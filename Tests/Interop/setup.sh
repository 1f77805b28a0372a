#!/usr/bin/env bash
# A Python environment with the pinned libraries: setup.sh [DIRECTORY]   (default: .venv in the project's root)
# Prints nothing but pip's errors; a second run with the same requirements.txt does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
directory=${1:-$(cd "$here/../.." && pwd)/.venv}
stamp=$directory/.interop-requirements

if cmp -s "$here/requirements.txt" "$stamp"; then
  exit 0
fi
python=${PYTHON:-python3}
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "setup.sh: $python must be Python 3.10 or newer with its venv module (Debian: python3-venv); or set PYTHON" >&2
  exit 1
fi
"$python" -m venv "$directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
cp "$here/requirements.txt" "$stamp"
