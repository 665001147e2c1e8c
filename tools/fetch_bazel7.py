#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts Debian sid's Bazel 7 into a directory of an older Debian, for tools/check_bazel7. Installs nothing, needs no root.

The packages are fetched by apt with a configuration of its own, whose only source is sid, and unpacked. As the host's C
library and Java are too old for them, the programs are made to use those that were unpacked: patchelf writes the path
of the loader and of the libraries into them. DIRECTORY/bazel is then ready to run, for as long as DIRECTORY stays where
it is.

usage: fetch_bazel7.py DIRECTORY     DEBIAN_MIRROR in the environment names another mirror than the host's
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

PACKAGES = ["bazel-bootstrap", "bazel-rules-shell", "libblake3-0", "patchelf"]

# What bazel-bootstrap depends on for the builds that it runs, and not for running itself: those take the host's.
NOT_NEEDED = re.compile(
    r"(gcc|g\+\+|cpp|libgcc-\d+-dev|libstdc\+\+-\d+-dev|binutils|perl|libperl|python3|libpython3|node-|libjs-|"
    r"linux-libc-dev|libc6-dev|libc-dev|build-essential|dpkg-dev|openjdk-\d+-jdk|default-jdk|ca-certificates$|"
    r"lib(asan|tsan|lsan|ubsan|hwasan|itm|quadmath|cc1|gprofng|ctf|binutils|sframe|gomp|isl|mpc|mpfr))")

# Documentation and so on, 100 MB of it.
LEFT_OUT = ["./usr/share/" + name for name in ["doc", "info", "locale", "man", "zoneinfo"]]

LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAMS = ["usr/bin/bazel", "usr/libexec/x86_64-linux-gnu/bazel/*", "usr/lib/jvm/java-*-openjdk-*/bin/java",
            "usr/lib/jvm/java-*-openjdk-*/lib/jspawnhelper"]

# As in sid's /etc/bazel/bazelrc.
MODULES = {
    "bazel_features": "tools/features", "bazel_skylib": "tools/skylib", "platforms": "tools/platforms",
    "rules_cc": "rules/cc", "rules_java": "rules/java", "rules_license": "rules/license",
    "rules_proto": "rules/proto", "rules_python": "rules/python",
}


def mirror():
    """The host's Debian mirror."""
    if "DEBIAN_MIRROR" in os.environ:
        return os.environ["DEBIAN_MIRROR"]
    for path in [*pathlib.Path("/etc/apt").glob("sources.list.d/*.sources"), pathlib.Path("/etc/apt/sources.list"),
                 *pathlib.Path("/etc/apt").glob("sources.list.d/*.list")]:
        if path.exists():
            found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?) *(\S+/debian/?)(?:\s|$)", path.read_text(), re.MULTILINE)
            if found:
                return found.group(1)
    return "http://deb.debian.org/debian"


class Apt:
    """apt-get with sid as its only source, and with no knowledge of what the host has installed."""

    def __init__(self, directory):
        self.archives = directory / "archives"
        for name in ["lists/partial", "archives/partial", "parts"]:
            (directory / name).mkdir(parents=True, exist_ok=True)
        sources = directory / "sources.list"
        sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} sid main\n")
        status = directory / "status"
        status.touch()
        settings = {
            "APT::Architecture": "amd64",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::Cache": directory,
            "Dir::Cache::archives": self.archives,
            "Dir::Etc::preferencesparts": directory / "parts",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::State": directory,
            "Dir::State::status": status,
        }
        self.command = ["apt-get", "-q", "-y"] + [f"-o{name}={value}" for name, value in settings.items()]

    def __call__(self, *arguments, cwd=None):
        return subprocess.run([*self.command, *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE,
                              universal_newlines=True).stdout

    def fetch(self):
        self("update")
        plan = self("--simulate", "install", *PACKAGES)
        names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
        self("download", *[name for name in names if not NOT_NEEDED.match(name)], cwd=self.archives)
        return sorted(self.archives.glob("*.deb"))


def unpack(package, root):
    extract = ["tar", "-x", "-C", root, *[f"--exclude={name}" for name in LEFT_OUT]]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        subprocess.run(extract, stdin=archive.stdout, check=True)
    if archive.returncode != 0:
        sys.exit(f"fetch_bazel7: {package} cannot be unpacked")


def point_links_inside(root):
    """Absolute links lead to the host; those whose target was unpacked too are made to lead there."""
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            if os.path.islink(path) and os.readlink(path).startswith("/"):
                target = os.fspath(root) + os.readlink(path)
                if os.path.lexists(target):
                    os.unlink(path)
                    os.symlink(target, path)


def use_own_libraries(root):
    loader = root / "usr/lib64/ld-linux-x86-64.so.2"
    patchelf = [loader, "--library-path", root / LIBRARIES, root / "usr/bin/patchelf"]
    for pattern in PROGRAMS:
        for program in root.glob(pattern):
            subprocess.run([*patchelf, "--set-interpreter", loader, "--force-rpath", "--set-rpath",
                            f"{root / LIBRARIES}:$ORIGIN/../lib", program], check=True)


def complete_class_path(root):
    """Names the server's jars by their new paths, with those that the jars themselves name by absolute path."""
    jars = root / "usr/share/java"
    list_file = root / "usr/share/bazel/bazel_classpath_debian_depends.txt"
    queue = [jars / os.path.basename(line) for line in list_file.read_text().split()]
    found = []
    for jar in queue:
        if jar in found or not jar.exists():
            continue
        found.append(jar)
        try:
            manifest = zipfile.ZipFile(jar).read("META-INF/MANIFEST.MF").decode()
        except KeyError:
            continue
        manifest = manifest.replace("\r\n", "\n").replace("\n ", "")  # long lines go on after a space
        for line in re.findall(r"^Class-Path:(.*)", manifest, re.MULTILINE):
            queue += [jars / os.path.basename(name) for name in line.split()]
    list_file.write_text("".join(f"{jar}\n" for jar in found))


def write_launcher(directory, root):
    """Writes DIRECTORY/bazel and its settings, which are those of sid's /etc/bazel/bazelrc."""
    bazel = root / "usr/share/bazel"
    java = next(root.glob("usr/lib/jvm/java-*-openjdk-*"))
    lines = [f"startup --install_base={bazel} --trust_install_base --server_javabase={java}",
             f"startup --output_user_root={directory}/output"]
    lines += [f"common --override_module={name}={bazel}/{path}" for name, path in MODULES.items()]
    (directory / "bazelrc").write_text("\n".join(lines) + "\n")
    launcher = directory / "bazel"
    launcher.write_text(f'#!/bin/sh\nexec {root}/usr/bin/bazel --nosystem_rc --bazelrc={directory}/bazelrc "$@"\n')
    launcher.chmod(0o755)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip().split("\n\n")[-1])
    directory = pathlib.Path(sys.argv[1]).resolve()
    root = directory / "root"
    root.mkdir(parents=True, exist_ok=True)
    apt = Apt(directory / "apt")
    for package in apt.fetch():
        unpack(package, root)
    shutil.rmtree(directory / "apt")
    point_links_inside(root)
    use_own_libraries(root)
    complete_class_path(root)
    write_launcher(directory, root)


if __name__ == "__main__":
    main()
