"""Makes container images without a network, out of the static busybox of this machine.

    image.py rootfs FILE            a root file system as a tar archive
    image.py oci FILE NAME WORD..   an OCI image archive called NAME whose command is WORD..
"""
import hashlib
import io
import json
import subprocess
import sys
import tarfile

BUSYBOX = "/bin/busybox"


def rootfs():
    """busybox, a link for each of its applets, and the directories that runtimes mount on."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for directory in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"]:
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(BUSYBOX, "bin/busybox")
        for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
            entry = tarfile.TarInfo("bin/" + applet)
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            if applet != "busybox":
                archive.addfile(entry)
        plain(archive, "www/index.html", b"hello from the container\n")
    return out.getvalue()


def plain(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


class Image:
    """Blobs by digest, and how the OCI image specification describes them."""

    def __init__(self):
        self.blobs = {}

    def add(self, content, kind):
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        kind = f"application/vnd.oci.image.{kind}"
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(content)}

    def add_json(self, value, kind):
        return self.add(json.dumps(value).encode(), kind)


def oci(name, command):
    image = Image()
    layer = image.add(rootfs(), "layer.v1.tar")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    arch = subprocess.check_output(["uname", "-m"], text=True).strip()
    config = {
        "architecture": machine.get(arch, arch),
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    described = image.add_json(config, "config.v1+json")
    manifest = image.add_json({"schemaVersion": 2, "config": described, "layers": [layer]}, "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [manifest]}
    return image.blobs, json.dumps(index).encode()


def write_oci(file, name, command):
    blobs, index = oci(name, command)
    with tarfile.open(file, "w") as archive:
        plain(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        plain(archive, "index.json", index)
        for digest, content in blobs.items():
            plain(archive, "blobs/sha256/" + digest, content)


if __name__ == "__main__":
    if sys.argv[1] == "rootfs":
        with open(sys.argv[2], "wb") as out:
            out.write(rootfs())
    else:
        write_oci(sys.argv[2], sys.argv[3], sys.argv[4:])
