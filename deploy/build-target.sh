#!/bin/sh
# Prints the target to build for: the musl target named as $1 when it is installed or rustup can install it, else
# the toolchain's own. The standard library is all that is needed: rustc links musl by itself.
musl=$1
host=$(rustc -vV | sed -n 's/^host: //p')
if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl/lib" ]; then
    echo "$musl"
elif command -v rustup >/dev/null && timeout 60 rustup target add "$musl" >/dev/null 2>&1; then
    echo "$musl"
else
    echo "no musl target to be had: building for $host with a static glibc" >&2
    echo "$host"
fi
