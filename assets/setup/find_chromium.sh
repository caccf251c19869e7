#!/usr/bin/env bash
# The browser tests drive Debian's Chromium. Install it where no Chromium or Chrome is found.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium for the browser tests …"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk >/dev/null
else
  echo "The browser tests need Chromium. Install it: sudo apt-get install chromium" >&2
  exit 1
fi
