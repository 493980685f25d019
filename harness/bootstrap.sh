#!/bin/sh
# Sets up what a target needs: sh harness/bootstrap.sh PYTHON all|bench|compare|peers|fidelity|test|lint
# harness/deps.py does it; this installs python3 for it where even that is missing. It never asks
# anything, and it never fails: what cannot be installed is printed, and the target goes on.
python=$1
target=$2

if [ ! -x "$python" ]; then
    line='apt-get install -y --no-install-recommends'
    root='sudo -n'
    [ "$(id -u)" = 0 ] && root=''
    $root true 2>/dev/null && echo "installing python3${root:+ with sudo}: it runs the harness"
    apt="$root env DEBIAN_FRONTEND=noninteractive"
    if ! { $apt apt-get update -q && $apt $line python3; } >/dev/null 2>&1 </dev/null; then
        # Without python3, deps.py cannot tell what else is missing.
        for name in $(awk -v target="\"$target\"" '
            /^\[/ { gsub(/[]["]/, ""); name = $0 }
            /^unpack/ { name = "" } # deps.py does it, and needs no root
            /^for/ && name && (target == "\"all\"" || index($0, target)) { print name }
        ' "$(dirname "$0")/packages.toml"); do
            dpkg -s "$name" >/dev/null 2>&1 || line="$line $name"
        done
        echo "not installed: it takes root, or sudo without a password, and a network" >&2
        echo "as root: $line" >&2
        exit 0
    fi
fi
PYTHONDONTWRITEBYTECODE=1 "$python" -m harness deps "$target"
exit 0
