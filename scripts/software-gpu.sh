#!/bin/sh
# Runs a command with a GPU that the processor plays, for tests of the device webgpu on a machine without one:
#
#     scripts/software-gpu.sh npm test                 on SwiftShader
#     scripts/software-gpu.sh --lavapipe npm test      on Mesa's lavapipe, which is faster and has more optional features
#
# Both come out of Debian's packages, are downloaded once, without root, and are kept in ~/.cache/longwave; a lavapipe of the system is
# taken if it is new enough. Where lavapipe cannot be had it is SwiftShader; where that cannot be had either, the command runs with the
# Vulkan drivers of the system.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/longwave"

# Three files of chromium-common (31 MB), of the system's own release: the driver and a Vulkan loader.
fetch_swiftshader() {
  apt-get -qq download chromium-common && dpkg-deb -x chromium-common_*.deb . || return
  mv usr/lib/chromium/libvulkan.so.1 usr/lib/chromium/libvk_swiftshader.so usr/lib/chromium/vk_swiftshader_icd.json new
}

use_swiftshader() {
  have swiftshader || return
  export VK_ICD_FILENAMES="$cache/swiftshader/vk_swiftshader_icd.json"
  export LD_LIBRARY_PATH="$cache/swiftshader${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# Of Debian 13 and its backports (62 MB, and 10 MB of lists), whatever the system is: the driver, a Vulkan loader, and the libraries that
# they need, down to that of C. An apt that knows nothing but these two suites, and of nothing that is installed, says which those are.
fetch_lavapipe() {
  mkdir -p lists/partial archives/partial && : >status || return
  for suite in trixie trixie-backports; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main"
  done >sources.list
  cat >apt.conf <<END
Dir::Etc::sourcelist "$PWD/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$PWD/lists";
Dir::State::status "$PWD/status";
Dir::Cache "$PWD";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
END
  export APT_CONFIG="$PWD/apt.conf"
  apt-get -qq update && apt-get -qq -y --download-only -t trixie-backports install mesa-vulkan-drivers || return
  for package in archives/*.deb; do dpkg-deb -x "$package" . || return; done
  find usr/lib -name 'libvulkan_*' ! -name libvulkan_lvp.so -delete
  mv usr/share/vulkan/icd.d/lvp_icd*.json new/lvp_icd.json && mv usr/lib/*-linux-gnu new/lib
}

use_lavapipe() {
  # Mesa 26.1 writes 1.4.354, and multiplies matrices in a subgroup; 25.0 (1.4.305) does not.
  for icd in /usr/share/vulkan/icd.d/lvp_icd*.json; do
    version=$(sed -n 's/.*"api_version": *"1\.4\.\([0-9]*\)".*/\1/p' "$icd" 2>/dev/null)
    [ "${version:-0}" -ge 354 ] && export VK_ICD_FILENAMES="$icd" && return
  done
  have lavapipe && node_with "$cache/lavapipe/lib" || return
  # Layers of the system are built for its own libraries.
  export VK_ICD_FILENAMES="$cache/lavapipe/lvp_icd.json" VK_LOADER_LAYERS_DISABLE='~all~'
}

# Gives libraries to Node alone, as ffmpeg and others would not start with a library of C that is not the system's: a script named node, first
# in the PATH, has their ld.so start it. process.execPath becomes that script, for the processes that Node itself starts.
node_with() {
  node=$(command -v node) || return
  bin="$1/for$(dirname "$node")"
  case "$node" in "$1"/*) return ;; esac # within another software-gpu.sh
  mkdir -p "$bin" && echo "process.execPath = __dirname + '/node'" >"$bin/exec-path.cjs" || return
  cat >"$bin/node" <<END
#!/bin/sh
exec "$(echo "$1"/ld-linux*)" --library-path "$1" "$node" --require "$bin/exec-path.cjs" "\$@"
END
  chmod +x "$bin/node"
  why="$node needs newer libraries"
  "$bin/node" --version >/dev/null 2>&1 && export PATH="$bin:$PATH"
}

# Fetches what is not there yet, whole or not at all; `why` says why it could not.
have() {
  [ -d "$cache/$1" ] && return
  mkdir -p "$cache" && scratch=$(mktemp -d "$cache/$1.XXXXXX") || return
  trap 'rm -rf "$scratch"; exit 1' HUP INT TERM
  (mkdir "$scratch/new" && cd "$scratch" && "fetch_$1") >"$scratch/log" 2>&1 && mv -T "$scratch/new" "$cache/$1"
  why=$(tail -n 1 "$scratch/log")
  rm -rf "$scratch"
  trap - HUP INT TERM
  [ -d "$cache/$1" ]
}

if [ "$1" = --lavapipe ]; then
  shift
  use_lavapipe && exec "$@"
  echo "software-gpu: lavapipe cannot be had ($why): SwiftShader instead" >&2
fi
use_swiftshader || echo "software-gpu: SwiftShader cannot be had ($why; apt-get update?): with the Vulkan drivers of this system" >&2
exec "$@"
