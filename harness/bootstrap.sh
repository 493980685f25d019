#!/bin/sh
# Sets up what a target needs: sh harness/bootstrap.sh PYTHON all|bench|test|lint|peers
# harness/deps.py does it; this installs python3 for it where even that is missing. It never asks
# anything, and it never fails: what cannot be installed is printed, and the target goes on.
python=$1
target=$2

if [ ! -x "$python" ]; then
    line='apt-get install -y --no-install-recommends python3'
    if [ "$(id -u)" = 0 ]; then
        root=''
    else
        root='sudo -n'
    fi
    echo "installing python3 (runs the harness)"
    if ! { DEBIAN_FRONTEND=noninteractive $root apt-get update -q &&
           DEBIAN_FRONTEND=noninteractive $root $line; } >/dev/null 2>&1; then
        echo "python3 is missing and cannot be installed from here. As root: $line" >&2
        exit 0
    fi
fi
PYTHONDONTWRITEBYTECODE=1 "$python" -m harness deps "$target"
exit 0
