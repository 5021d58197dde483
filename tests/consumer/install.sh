# SPDX-License-Identifier: BSD-3-Clause
# Install the build into $1, a prefix it was not configured for, and see that all of it arrived.
set -eu
stage=$1
rm -rf "$stage"
cmake --install "$STELE_BINARY_DIR" --prefix "$stage" >install.log

fail=0
want() {
    for found in "$stage"/$1; do
        [ -s "$found" ] && return
    done
    echo "not installed: $1" >&2
    fail=1
}
for header in "$STELE_SOURCE_DIR"/include/stele/*.h; do
    want "include/stele/$(basename "$header")"
done
for file in libstele.a libstele.so libstele.so.0 'libstele.so.0.*.*' cmake/stele/steleConfig.cmake \
    cmake/stele/steleConfigVersion.cmake cmake/stele/steleTargets.cmake pkgconfig/stele.pc; do
    want "$STELE_LIBDIR/$file"
done
want bin/stele
want share/man/man1/stele.1
want share/bash-completion/completions/stele
want 'share/zsh/*/_stele'
want share/fish/vendor_completions.d/stele.fish
want share/doc/stele/LICENSE
for page in "$STELE_SOURCE_DIR"/docs/man/*.scd; do
    page=$(basename "$page" .scd)
    want "share/man/man${page##*.}/$page"
done

# Nothing that is installed may remember the tree it was built in. (A path counts where one begins: a source
# tree at /stele is not meant by include/stele.)
here=$(printf '%s\n%s\n' "$STELE_SOURCE_DIR" "$STELE_BINARY_DIR" | sed 's/[][\.*^$()+?{}|]/\\&/g' | paste -sd'|')
if grep -rE "(^|[^[:alnum:]_./}-]|-[IL])($here)(/|[^[:alnum:]_.-]|\$)" "$stage/$STELE_LIBDIR/cmake" \
    "$stage/$STELE_LIBDIR/pkgconfig" "$stage/include" >&2; then
    echo "what is above names the source or the build directory" >&2
    fail=1
fi
"$stage/bin/stele" version >/dev/null
exit $fail
