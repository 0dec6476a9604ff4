# shellcheck shell=bash
# Installs the Debian or Ubuntu packages that a script needs and that are missing, after one message that
# lists each with its reason. A script names what it needs as lines "PACKAGE PROBE REASON...", where PROBE
# is a program's name or an absolute path that the package brings. Nothing is asked, nothing present is
# touched, the package lists are refreshed only when an install needs it, and services that the packages
# bring are neither started nor enabled: the programs alone are wanted.

export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# What a pod needs on the node.
# shellcheck disable=SC2034 # used by the scripts that source this file
PACKAGES_NODE='
runc runc runs containers where crun cannot (hybrid cgroup hosts)
crun crun runs containers, the default
conmon conmon keeps a container'\''s log, terminal and exit code without the daemon
catatonit catatonit is the pause process of a pod
nftables nft sets the rules of published ports and masquerading
iproute2 ip shows and checks links
ca-certificates /etc/ssl/certs/ca-certificates.crt trusts registries over TLS
'
# What the demo adds: an image and a registry that serves it.
# shellcheck disable=SC2034
PACKAGES_DEMO='
busybox-static /bin/busybox is the content of the demo image
docker-registry docker-registry serves images on loopback
curl curl shows an HTTP answer
'
# What the tests add.
# shellcheck disable=SC2034
PACKAGES_TEST='
containernetworking-plugins /usr/lib/cni/bridge are the CNI plugins that the network tests run
skopeo skopeo is the other implementation that image tests compare with
umoci umoci is the other implementation that unpack tests compare with
buildah buildah builds an image that the load tests run
zstd zstd compresses archives for the load tests
openssl openssl makes the certificates of the registry tests
shellcheck shellcheck checks the shell scripts
procps ps lists processes for the leak check
e2fsprogs mkfs.ext4 makes file systems to test on
'
# What the benchmark adds.
# shellcheck disable=SC2034
PACKAGES_BENCH='
containernetworking-plugins /usr/lib/cni/bridge are the CNI plugins that both runtimes use
containerd containerd is the runtime that berth is compared with
e2fsprogs mkfs.ext4 makes the fresh file system of each pull
'

packages_have() {
  local probe=$1
  if [[ $probe == /* ]]; then [[ -e $probe ]]; else command -v "$probe" >/dev/null; fi
}

# packages_ensure TABLE...: installs what is missing of the tables; exit 1 with the list when it cannot
packages_ensure() {
  local table package probe reason missing=() reasons=''
  for table in "$@"; do
    while read -r package probe reason; do
      [[ -n $package ]] || continue
      packages_have "$probe" && continue
      missing+=("$package")
      reasons+=$(printf '\n  %-28s %s' "$package" "$reason")
    done <<<"$table"
  done
  ((${#missing[@]})) || return 0
  say "Missing system packages:$reasons"
  command -v apt-get >/dev/null || die "These scripts install packages with apt-get (Debian, Ubuntu) and there is none here: install the above and run again."
  ((EUID == 0)) || die "Installing them needs root: run this as root, or first: apt-get install ${missing[*]}"
  say "Installing them with apt-get..."
  packages_install "${missing[@]}"
  packages_services_off "${missing[@]}"
}

packages_install() {
  local policy=/usr/sbin/policy-rc.d log own_policy=''
  log=$(mktemp)
  # Debian's documented way to install a package without starting its service.
  if [[ ! -e $policy ]]; then
    own_policy=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
  local ok=0
  if ! "${get[@]}" install -y --no-install-recommends "$@" </dev/null >"$log" 2>&1; then
    "${get[@]}" update </dev/null >>"$log" 2>&1 || true
    "${get[@]}" install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1 || ok=1
  fi
  [[ -z $own_policy ]] || rm -f "$own_policy"
  if ((ok != 0)); then
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $*. Its last lines are above."
  fi
  rm -f "$log"
}

# A freshly installed registry or containerd would otherwise start at the next boot.
packages_services_off() {
  command -v systemctl >/dev/null || return 0
  local name
  for name in "$@"; do
    case $name in docker-registry | containerd | nftables) systemctl disable --quiet "$name.service" 2>/dev/null || true ;; esac
  done
}
