#!/usr/bin/env bash
# The browser tests drive Debian's Chromium: its headless shell, which costs a fifth less of the processor than the
# whole browser, or any Chromium or Chrome. Install it where it isn't found.
set -euo pipefail
command -v chromium-headless-shell >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium for the browser tests …"
  if apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell fonts-noto-cjk >/dev/null; then
    exit 0
  fi
fi
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
echo "The browser tests need Chromium. Install it: sudo apt-get install chromium-headless-shell" >&2
exit 1
