#!/usr/bin/env bash
# Install the Debian packages that the window needs; without root, print the one command that does.
# With --headless, or where there is no display, the virtual display Xvfb is one of them.
set -euo pipefail

packages=(
    libegl1 libgl1 libgl1-mesa-dri                                      # OpenGL, in software if need be
    libglib2.0-0 libdbus-1-3 libfontconfig1 fonts-dejavu-core           # Qt itself and something to write with
    libx11-6 libx11-xcb1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-glx0  # Qt's xcb platform
    libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
    libxcb-shape0 libxcb-sync1 libxcb-util1 libxcb-xfixes0 libxcb-xkb1
)
if [[ "${1:-}" == --headless || -z "${DISPLAY:-}" ]]; then
    packages+=(xvfb xauth)
fi
if ! "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=(python3-venv)
fi

if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get. If the window does not open, install what corresponds to: ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    # Since the change to 64-bit time some packages are called …t64; dpkg-query fails for the name it doesn't know.
    states=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" "${package}t64" 2>/dev/null || true)
    if ! grep -qx installed <<<"$states"; then
        missing+=("$package")
    fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "System packages are missing. Run this, then repeat:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
