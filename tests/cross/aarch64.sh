# For the tests beside it: builds for 64-bit Arm (glibc) what `targets` (an array) names. Its programs are run by `emulator`, whose processor signs return addresses.
# shellcheck shell=bash disable=SC2034,SC2154
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64; do
    command -v "$tool" >/dev/null && continue
    echo "no $tool: apt-get install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
    exit 77
done
target=$HEAPTAP_TOP/build/aarch64
emulator=(qemu-aarch64 -cpu max)
exec 9>"$HEAPTAP_BUILD/aarch64.lock"
flock 9 # two tests at once build the same tree, one after the other
(cd "$HEAPTAP_TOP" && cmake --preset aarch64 -Wno-dev && cmake --build --preset aarch64 --parallel 2 --target heaptap "${targets[@]}") >build.log 2>&1 ||
    { tail -n 40 build.log; exit 1; }
exec 9>&-
