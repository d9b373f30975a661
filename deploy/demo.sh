#!/bin/sh
# The main job, shown: two containers on one bridge reach each other, the host and the outside; then all of it is
# taken down and nothing is left. Usage: demo.sh DIST. Root is not needed: without it the demo runs in a user and
# network namespace of its own.
set -eu
dist=$(cd "$1" && pwd)

if [ "${TIDEWATER_DEMO_INSIDE:-}" != 1 ]; then
    command -v unshare >/dev/null && command -v ip >/dev/null && command -v ping >/dev/null || {
        echo "the demo needs unshare, ip and ping: apt-get install util-linux iproute2 iputils-ping" >&2
        exit 1
    }
    # A mount and a network namespace of its own, so that the machine is left as it was whatever happens.
    if [ "$(id -u)" = 0 ]; then as=""; else as="--user --map-root-user"; fi
    # shellcheck disable=SC2086
    TIDEWATER_DEMO_INSIDE=1 exec timeout 60 unshare $as --net --mount --fork --pid --kill-child --mount-proc \
        sh "$0" "$dist"
fi

mount -t tmpfs tmpfs /run
work=/run/demo
mkdir -p $work/net.d /run/netns
export CNI_PATH="$dist/cni" NETCONFPATH=$work/net.d
ctl="$dist/bin/net-ctl"

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold="" plain=""; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '  $ %s\n' "$(echo "$*" | sed "s|$dist|dist|g; s|$work/||g")"; "$@" 2>&1 | sed 's/^/    /'; }
in_ns() { ns=$1; shift; "$ctl" ns exec "$ns" -- "$@"; }
must() { "$@" || { echo "FAILED: $*" >&2; exit 1; }; }

# Everything that a container could leave behind, as text to compare.
state() {
    ip -o link show | sed 's/^[0-9]*: //' | grep -v '^lo:' | cut -d' ' -f1 | sort
    ls $work/leases/front 2>/dev/null | grep -v -e '^lock$' -e '^last_reserved_ip' || true
    ls $work/cache/results 2>/dev/null || true
    if command -v nft >/dev/null; then nft list ruleset; fi
}

ip link set lo up

say "A network: one bridge, gateway on it, masquerade to the outside"
cat > $work/net.d/front.conflist <<JSON
{ "cniVersion": "1.1.0", "name": "front", "plugins": [ {
    "type": "bridge", "bridge": "front0", "isDefaultGateway": true, "ipMasq": true,
    "ipam": { "type": "host-local", "dataDir": "$work/leases",
              "ranges": [[{ "subnet": "10.9.0.0/24" }], [{ "subnet": "fd00:9::/64" }]] } } ] }
JSON
cat $work/net.d/front.conflist | sed "s|$work|WORK|; s/^/    /"

say "A namespace that plays the outside, 192.0.2.2"
"$ctl" ns create outside >/dev/null
ip link add up0 type veth peer name eth0 netns outside
ip addr add 192.0.2.1/24 dev up0 && ip link set up0 up
in_ns outside ip addr add 192.0.2.2/24 dev eth0
in_ns outside ip link set eth0 up
in_ns outside ip link set lo up

# The bridge is shared and outlives its containers: it belongs to the state before.
"$ctl" ns create first >/dev/null
"$ctl" network add front first --cache-dir $work/cache >/dev/null
"$ctl" network del front first --cache-dir $work/cache >/dev/null
"$ctl" ns delete first >/dev/null
before=$(state)

say "Two containers"
for name in web db; do
    run "$ctl" ns create $name
    run "$ctl" network add front $name --cache-dir $work/cache
done

web4=$(in_ns web ip -4 -o addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }')
db4=$(in_ns db ip -4 -o addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }')
db6=$(in_ns db ip -6 -o addr show eth0 scope global | awk '{ sub("/.*", "", $4); print $4 }')

say "Addresses and routes in web"
run in_ns web ip -br addr
run in_ns web ip route

say "web -> db, IPv4 and IPv6"
must in_ns web ping -c 2 -i 0.2 -W 2 -q "$db4" | sed 's/^/    /'
must in_ns web ping -c 2 -i 0.2 -W 2 -q "$db6" | sed 's/^/    /'

say "TCP: web asks a server in db, and so does the host"
tcp() { # namespace (or - for the host), address
    client="import socket; c = socket.create_connection(('$2', 8000), 5); print(c.recv(100).decode().strip())"
    if [ "$1" = - ]; then python3 -c "$client"; else in_ns "$1" python3 -c "$client"; fi
}
serve="
import socket
s = socket.create_server(('0.0.0.0', 8000))
while True:
    c, peer = s.accept()
    c.sendall(('hello ' + peer[0] + ', this is ' + c.getsockname()[0] + '\n').encode())
    c.close()
"
if command -v python3 >/dev/null; then
    in_ns db python3 -c "$serve" & server=$!
    in_ns outside python3 -c "$serve" & outside=$!
    sleep 0.5
    tcp web "$db4" | sed 's/^/    web hears:  /'
    tcp - "$db4" | sed 's/^/    host hears: /'
    say "Out through masquerade: the outside sees the host's address, not $web4"
    heard=$(tcp web 192.0.2.2)
    echo "    web hears:  $heard"
    [ "$heard" = "hello 192.0.2.1, this is 192.0.2.2" ] || { echo "FAILED: not masqueraded" >&2; exit 1; }
    kill $server $outside
else
    say "Out through masquerade (no python3 here: ping only, no TCP)"
fi
must in_ns web ping -c 1 -W 2 -q 192.0.2.2 | sed 's/^/    /'

say "CHECK: everything is as the runtime was told"
run "$ctl" network check front web --cache-dir $work/cache
say "CHECK finds what somebody broke"
in_ns db ip route del default
if "$ctl" network check front db --cache-dir $work/cache >$work/said 2>&1; then
    echo "FAILED: CHECK did not see that the default route is gone" >&2; exit 1
fi
sed 's/^/    /' $work/said

say "DEL, twice: the second finds nothing to do and is fine"
for name in web db web; do run "$ctl" network del front $name --cache-dir $work/cache; done
for name in web db; do run "$ctl" ns delete $name; done

say "What is left"
after=$(state)
if [ "$before" != "$after" ]; then
    printf 'FAILED: something is left\n--- before\n%s\n--- after\n%s\n' "$before" "$after" >&2
    exit 1
fi
echo "    nothing: links, leases, rules and results are as before the containers (the bridge itself stays)"
