#!/bin/sh
# Runs a command with a GPU that the processor plays, for tests of the device webgpu on a machine without one:
#
#     scripts/software-gpu.sh npm test
#
# It is SwiftShader, with its Vulkan loader, out of Debian's chromium-common: 31 MB are downloaded once into ~/.cache/longwave and
# unpacked there, without root. Where that cannot be had the command runs without.
folder="${XDG_CACHE_HOME:-$HOME/.cache}/longwave/swiftshader"
if [ ! -d "$folder/usr" ]; then
  new=$(mktemp -d)
  (cd "$new" && apt-get download chromium-common && dpkg -x chromium-common_*.deb . && rm chromium-common_*.deb) >&2 &&
    mkdir -p "$folder" && cp -R "$new/." "$folder"
  rm -rf "$new"
fi
chromium="$folder/usr/lib/chromium"
if [ -f "$chromium/vk_swiftshader_icd.json" ]; then
  export VK_ICD_FILENAMES="$chromium/vk_swiftshader_icd.json"
  export LD_LIBRARY_PATH="$chromium${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
else
  echo "software-gpu: chromium-common of Debian cannot be had (as root: apt-get update): running without a GPU" >&2
fi
exec "$@"
