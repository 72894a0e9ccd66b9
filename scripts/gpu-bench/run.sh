#!/bin/sh
# Measures the GPU of this machine and writes gpu-bench.json into the current folder: what `longwave doctor` says of machine, device and
# driver, and the figures of `longwave bench scan`, whose flags it takes, e.g. ./run.sh --rounds 5. docs/benchmarks.md of longwave
# says what the figures are. It needs 64-bit Linux on x86 with glibc 2.34 or later, and a Vulkan driver; nothing else.
set -e
here=$(cd "$(dirname "$0")" && pwd)
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
out=gpu-bench.json
if [ -e "$out" ]; then
  echo "run.sh: $out exists already" >&2
  exit 73
fi

longwave() {
  "$here/node" "$here/bin/run.js" "$@"
}
trap 'rm -f "$out.part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
{
  printf '{"doctor": '
  longwave doctor --json
  printf ',\n"bench": '
  longwave bench scan --device webgpu --json "$@"
  printf '}\n'
} > "$out.part"
mv "$out.part" "$out"
echo "run.sh: the figures are in $out" >&2
