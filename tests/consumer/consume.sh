# SPDX-License-Identifier: BSD-3-Clause
# Build a consumer against the library installed under $1 and run it.
#   $2  cmake | pkg-config: how the library is found
#   $3  c | cpp
#   $4  shared | static
set -eu
stage=$1 via=$2 language=$3 linkage=$4
source=$STELE_SOURCE_DIR/tests/consumer
program=$PWD/$language-$linkage
scratch=$(mktemp -d "${TMPDIR:-/tmp}/stele-consumer.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
rm -rf "$program" build

case $via in
cmake)
    cmake -S "$source" -B build -G Ninja -DCMAKE_PREFIX_PATH="$stage" -DCMAKE_BUILD_TYPE=Release >cmake.log
    cmake --build build --target "$language-$linkage" >>cmake.log
    program=$PWD/build/$language-$linkage
    ;;
pkg-config)
    export PKG_CONFIG_PATH=$stage/$STELE_LIBDIR/pkgconfig
    case $language in
    c) compiler="${CC:-cc} -std=c11" ;;
    cpp) compiler="${CXX:-c++} -std=c++17" ;;
    esac
    if [ "$linkage" = shared ]; then
        libraries=$(pkg-config --libs stele)
        export LD_LIBRARY_PATH=$stage/$STELE_LIBDIR
    else
        # Everything else stays shared: only stele comes from its archive.
        libraries=$(pkg-config --libs --static stele | sed 's/-lstele/-l:libstele.a/')
    fi
    # shellcheck disable=SC2086,SC2046 # lists of words
    $compiler -Wall -Wextra -Werror $(pkg-config --cflags stele) "$source/consumer.$language" -o "$program" $libraries
    ;;
esac

# What was linked is what was asked for.
needed=$(readelf -d "$program" | grep -c 'NEEDED.*libstele.so.0' || true)
case $linkage:$needed in
shared:1 | static:0) ;;
*)
    echo "$program: $linkage, but libstele.so.0 is needed $needed times" >&2
    exit 1
    ;;
esac
"$program" "$scratch/log"
