#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The corpus in the repository anew: merge.sh TOP BUILD FOUND TARGET... (tools/dev/fuzz --merge calls it). Of
# the old corpus, the seeds and what was found, the fewest and smallest inputs that reach every edge; the
# smallest first, up to a limit, because a repository is no place for more.
set -uo pipefail
top=$1 build=$2 found=$3
shift 3
limit=30000

seeds=$build/seeds
rm -rf "$seeds"
python3 "$top/tests/fuzz/seeds.py" "$build/tests/fuzz/golden" "$seeds" || exit 1
for target in "$@"; do
    new=$build/merged/$target
    rm -rf "$new"
    mkdir -p "$new" "$seeds/$target" "$top/tests/fuzz/corpus/$target"

    if ! "$build/tests/fuzz/fuzz_$target" -merge=1 -set_cover_merge=1 -max_len=1100 "$new" \
        "$seeds/$target" "$top/tests/fuzz/corpus/$target" "$found/$target" \
        >"$build/$target.merge.log" 2>&1; then
        tail -n 5 "$build/$target.merge.log"
        echo "FAILED: merging the corpus of $target: $build/$target.merge.log"
        exit 1
    fi
    rm -rf "$top/tests/fuzz/corpus/$target"
    mkdir -p "$top/tests/fuzz/corpus/$target"
    bytes=0
    count=0
    while read -r size file; do
        bytes=$((bytes + size))
        [ "$bytes" -gt "$limit" ] && break
        cp -- "$file" "$top/tests/fuzz/corpus/$target/"
        count=$((count + 1))
    done < <(find "$new" -type f -printf '%s %p\n' | sort -n)
    printf 'corpus of %-10s %4d of %4d inputs\n' "$target" "$count" "$(find "$new" -type f | wc -l)"
done
