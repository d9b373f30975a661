#!/bin/sh
# Runs every test against the binaries in dist/. As root all of them; without root those that a user and network
# namespace can carry, the rest shown as ignored with their reason.
set -eu
cd "$(dirname "$0")/.."
TIDEWATER_DIST=${TIDEWATER_DIST:-$PWD/dist}
export TIDEWATER_DIST

# The dev profile is the one profile of the tests; what they drive is the release build in dist/.
if [ "$(id -u)" = 0 ]; then
    exec cargo test --workspace --locked --no-fail-fast -- --include-ignored
fi
echo "not root: tests marked with a reason to be ignored do not run" >&2
exec cargo test --workspace --locked --no-fail-fast
