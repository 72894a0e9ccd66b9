#!/bin/sh
# Runs a command with a GPU that the processor plays, for tests of the device webgpu on a machine without one:
#
#     scripts/software-gpu.sh npm test        (npm run test:webgpu: those tests alone)
#
# It is SwiftShader with a Vulkan loader, three files out of Debian's chromium-common (31 MB, downloaded once, without root), which are
# kept in ~/.cache/longwave. Where that cannot be had the command runs without.
folder="${XDG_CACHE_HOME:-$HOME/.cache}/longwave/swiftshader"
icd="$folder/vk_swiftshader_icd.json"

fetch() {
  cd "$1" && apt-get -qq download chromium-common && dpkg -x chromium-common_*.deb . || return
  mkdir -p "$folder" && cd usr/lib/chromium && mv libvulkan.so.1 libvk_swiftshader.so vk_swiftshader_icd.json "$folder"
}
if [ ! -f "$icd" ]; then
  new=$(mktemp -d)
  (fetch "$new") >&2
  rm -rf "$new"
fi

if [ -f "$icd" ]; then
  export VK_ICD_FILENAMES="$icd"
  export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
else
  echo "software-gpu: Debian's chromium-common cannot be had (apt-get update?): running without a GPU" >&2
fi
exec "$@"
