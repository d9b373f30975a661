#!/bin/sh
# Installs the Debian packages that the tests need (tests/packages.txt), or says how to do it by hand.
cd "$(dirname "$0")" || exit 1
packages=$(sed 's/#.*//' packages.txt | tr -s ' \n' ' ')
missing=$(for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
done | tr '\n' ' ')
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for the tests: $missing"
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 && exit 0
    apt-get update >/dev/null && apt-get install -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "The tests need these packages: $missing" >&2
echo "By hand: sudo apt-get install --no-install-recommends $missing" >&2
[ "$(id -u)" = 0 ] && exit 1
echo "Not root: tests that need them are shown as skipped." >&2
