#!/bin/sh
# old_glibc.sh FOLDER: what a wheel is linked with here to load on systems with glibc 2.28, without a container of such
# a system: the symbols of that glibc's libraries, which ziglang (from pip) has for every version. Prints the linker's
# flags. libstdc++ and libgcc are linked in statically: the compiler's are newer than those of such systems.
set -eu
mkdir -p "$1"
cd "$1"
export ZIG_GLOBAL_CACHE_DIR="$PWD/cache" ZIG_LOCAL_CACHE_DIR="$PWD/cache"
echo 'int main(void) { return 0; }' > probe.c
python -m ziglang cc -target "$(uname -m)-linux-gnu.2.28" -o probe probe.c -lm -lpthread -ldl -lrt >&2
cp "$(dirname "$(find cache -name libpthread.so.0 | head -n 1)")"/lib*.so.* "$(find cache -name libc_nonshared.a | head -n 1)" .
for library in m dl pthread rt; do ln -sf lib$library.so.? lib$library.so; done
echo 'GROUP ( libc.so.6 libc_nonshared.a )' > libc.so
# The compiler's libstdc++ asks glibc since 2.32 whether there is one thread only; 0 says that there may be more.
echo 'char __libc_single_threaded __attribute__((visibility("hidden")));' > threads.c
cc -c -fPIC threads.c -o threads.o
rm -rf cache probe probe.c threads.c
echo "-L$PWD $PWD/threads.o -static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL"
