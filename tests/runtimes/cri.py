"""A small client for the Kubernetes container runtime interface, version 1, for tests/src/lab/containerd.rs.

    cri.py SOCKET run NAME CGROUP [KEY=VALUE... | port=PROTOCOL:HOST:CONTAINER...] | stop ID | remove ID | ip ID | list | ready

The few messages are written in protobuf's wire form by hand, so that neither a schema nor a compiler is needed.
"""
import sys

import grpc

TIMEOUT = 60


def number(value):
    """A varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(tag, value):
    """One field: a number, a text, or the bytes of an inner message."""
    if isinstance(value, int):
        return number(tag << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(tag << 3 | 2) + number(len(data)) + data


def fields(data):
    """The fields of a message as pairs of tag and value; only numbers and byte strings occur."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            length, value = value, data[at : at + value]
            at += length
        yield key >> 3, value


def first(data, *path):
    """The first field at a path of tags."""
    for tag in path:
        data = next((value for found, value in fields(data) if found == tag), b"")
    return data


def port_mapping(words):
    """PortMapping: protocol 1 (TCP 0, UDP 1, SCTP 2), container_port 2, host_port 3."""
    protocol, host, container = words.split(":")
    return field(1, ["tcp", "udp", "sctp"].index(protocol)) + field(2, int(container)) + field(3, int(host))


def pod(name, cgroup, *wishes):
    """PodSandboxConfig: metadata 1 {name 1, uid 2, namespace 3}, hostname 2, log_directory 3, port_mappings 5, annotations 7
    (a map: key 1, value 2), linux 8 {cgroup_parent 1}."""
    metadata = field(1, name) + field(2, "uid-" + name) + field(3, "tests")
    config = field(1, metadata) + field(2, name) + field(3, "/run/lab/pod-logs")
    for wish in wishes:
        key, value = wish.split("=", 1)
        config += field(5, port_mapping(value)) if key == "port" else field(7, field(1, key) + field(2, value))
    return config + field(8, field(1, cgroup))


class Runtime:
    def __init__(self, socket):
        self.channel = grpc.insecure_channel("unix://" + socket)

    def call(self, method, message=b""):
        return self.channel.unary_unary("/runtime.v1.RuntimeService/" + method)(message, timeout=TIMEOUT)


def conditions(status):
    """Status: conditions 1 of status 1, each type 1, status 2, reason 3, message 4."""
    for tag, condition in fields(first(status, 1)):
        if tag == 1:
            texts = [first(condition, part).decode() for part in (1, 3, 4) if first(condition, part)]
            yield first(condition, 2) == 1, " ".join(texts)


def main(socket, verb, *words):
    runtime = Runtime(socket)
    if verb == "run":
        print(first(runtime.call("RunPodSandbox", field(1, pod(*words))), 1).decode())
    elif verb == "stop":
        runtime.call("StopPodSandbox", field(1, words[0]))
    elif verb == "remove":
        runtime.call("RemovePodSandbox", field(1, words[0]))
    elif verb == "ip":
        # PodSandboxStatus: status 1, network 5 of it, ip 1 and additional_ips 2 {ip 1} of that.
        network = first(runtime.call("PodSandboxStatus", field(1, words[0])), 1, 5)
        for tag, value in fields(network):
            print((value if tag == 1 else first(value, 1)).decode())
    elif verb == "list":
        # ListPodSandbox: items 1, each id 1 and state 3 (absent: ready).
        for _, item in fields(runtime.call("ListPodSandbox")):
            print(first(item, 1).decode(), "notready" if first(item, 3) else "ready")
    elif verb == "ready":
        bad = [text for good, text in conditions(runtime.call("Status")) if not good]
        print("\n".join(bad))
        return 1 if bad else 0
    else:
        sys.exit(f"unknown verb {verb}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
