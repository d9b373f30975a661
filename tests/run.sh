#!/bin/sh
# Runs every test against the binaries in dist/. As root all of them; without root inside a user, network and mount
# namespace, where those that need the machine's own root show themselves as skipped with the reason.
set -eu
cd "$(dirname "$0")/.."
TIDEWATER_DIST=${TIDEWATER_DIST:-$PWD/dist}
export TIDEWATER_DIST

# The dev profile is the one profile of the tests; what they drive is the release build in dist/.
tests="cargo test --workspace --locked --no-fail-fast"
if [ "$(id -u)" = 0 ]; then
    exec $tests -- --include-ignored
fi
if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
    echo "not root, and no user namespaces here: tests marked as needing root are ignored" >&2
    exec $tests
fi
echo "not root: running in a user and network namespace" >&2
# Built outside, because there is no network inside.
$tests --no-run
exec unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc \
    sh -c 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"' sh $tests -- --include-ignored
