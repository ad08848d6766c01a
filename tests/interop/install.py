"""Installs what is missing: Debian's packages (as root), the rest under target/interop. What is
there already is left alone, so that only the first run takes long."""

import os
import shutil
import subprocess
from pathlib import Path

import processes
from folders import CACHE, CLIENTS, LOG, ROOT

# A program or file, and the package of Debian that has it.
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "curl": "curl",
    "docker-compose": "docker-compose",
    "go": "golang-go",
    "chromium": "chromium",
    "node": "nodejs",
    "javac": "default-jdk-headless",
    "npm": "npm",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "g++": "g++",
    "perl": "perl",
    "pkg-config": "pkg-config",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "/usr/include/openssl/ssl.h": "libssl-dev",
    "/usr/include/prometheus/gateway.h": "prometheus-cpp-dev",
    "/usr/share/gocode/src/github.com/prometheus/client_golang":
        "golang-github-prometheus-client-golang-dev",
}
# Debian has it in a folder that is called after the version of perl.
PERL_PACKAGE = "libnet-prometheus-perl"

# Go takes its packages from where Debian puts them.
GO_ENVIRONMENT = os.environ | {
    "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(CACHE / "go"),
    "CGO_ENABLED": "0",
}


def install_all(gateway):
    """`gateway` is the program to test, or none: then it is built."""
    os.environ["PATH"] += ":/usr/sbin"  # where Debian has nginx, which is not in everybody's PATH
    missing = missing_packages()
    if missing:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        set_up("Debian's lists", ["apt-get", "update"])
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
        set_up(" ".join(missing), install, env=environment)
    if not gateway:
        set_up("the gateway", ["cargo", "build", "--release", "--locked"])
    install_node_clients()
    build_go_client()
    build_rust_clients()
    build_cpp_client()


def set_up(what, command, **options):
    with open(LOG / "set_up", "wb") as log:
        status = subprocess.run(
            command, cwd=options.pop("cwd", ROOT), stdout=log, stderr=subprocess.STDOUT, **options
        ).returncode
    if status != 0:
        lines = [line for line in processes.log_of("set_up").splitlines() if line.strip()]
        lines = [line for line in lines if "complete log" not in line] or [f"status {status}"]
        processes.give_up(f"cannot set up {what}: {lines[-1]} (see {LOG}/set_up)")


def missing_packages():
    missing = {
        package for thing, package in PACKAGES.items()
        if not (Path(thing).exists() if thing.startswith("/") else shutil.which(thing))
    }
    has_perl_module = shutil.which("perl") and subprocess.run(
        ["perl", "-MNet::Prometheus", "-e", "1"], stderr=subprocess.DEVNULL
    ).returncode == 0
    return sorted(missing if has_perl_module else missing | {PERL_PACKAGE})


def install_node_clients():
    """Node looks for packages beside the program, so the programs go where the packages are."""
    folder, wanted = CACHE / "node", CLIENTS / "package.json"
    installed = folder / "installed.json"
    folder.mkdir(parents=True, exist_ok=True)
    for program in ["node_client.mjs", "browser.mjs", "page.html", "readme_page.mjs", "status_page.mjs"]:
        shutil.copy(CLIENTS / program, folder)
    if installed.exists() and installed.read_bytes() == wanted.read_bytes():
        return
    shutil.copy(wanted, folder / "package.json")
    set_up("clients/package.json", [
        "npm", "--prefix", str(folder), "install",
        "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
    ])
    shutil.copy(wanted, installed)


def build_go_client():
    set_up(
        "clients/go_client.go",
        ["go", "build", "-o", str(CACHE / "go_client"), str(CLIENTS / "go_client.go")],
        env=GO_ENVIRONMENT,
    )


def build_rust_clients():
    set_up("clients/rust", cargo_of_clients("build"))


def cargo_of_clients(command):
    return [
        "cargo", command, "--locked", "--manifest-path", str(CLIENTS / "rust/Cargo.toml"),
        "--target-dir", str(CACHE / "rust"),
    ]


def build_cpp_client():
    source, program = CLIENTS / "cpp_client.cc", CACHE / "cpp_client"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    libraries = ["-lprometheus-cpp-push", "-lprometheus-cpp-core"]
    set_up("clients/cpp_client.cc", [
        "g++", "-std=c++17", "-O0", "-o", str(program), str(source), *libraries,
    ])
