#!/usr/bin/env bash
# Make the virtual environment FOLDER with PYTHON, and uv in it. usage: make_venv.sh PYTHON FOLDER
set -euo pipefail
python=$1 folder=$2
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Python 3.11 or later is needed, and ${python:-no python3} was found. Give one: make run PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then  # Debian keeps both in a package of its own
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"
  else
    echo "Python's venv module is missing. Install it: sudo apt-get install $package" >&2
    exit 1
  fi
fi
"$python" -m venv "$folder"
"$folder/bin/python" "$(dirname "$0")/install.py" -- "$folder/bin/python" -m pip install --quiet uv
