#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The lines of src/ and tools/stele that the inputs of the fuzz targets reach: coverage.sh TOP DIR FOUND
# TARGET... (tools/dev/fuzz calls it). Replays corpus, regressions and what was found with clang's own
# counters.
set -uo pipefail
top=$1 dir=$2 found=$3
shift 3
if ! command -v llvm-cov >/dev/null 2>&1 || ! command -v llvm-profdata >/dev/null 2>&1; then
    echo "line coverage: not counted, llvm-cov is missing (apt-get install llvm)"
    exit 0
fi
log=$(mktemp)
if ! { cmake -S "$top" -B "$dir" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug \
    "-DCMAKE_C_FLAGS_DEBUG=-O1" "-DCMAKE_C_FLAGS=-fprofile-instr-generate -fcoverage-mapping" \
    -DSTELE_BUILD_BENCH=OFF -DSTELE_BUILD_MAN=OFF -DSTELE_WERROR=OFF && ninja -C "$dir" fuzz_targets; } >"$log" 2>&1; then
    cat "$log"
    rm -f "$log"
    echo "FAILED: line coverage: the build"
    exit 1
fi
rm -f "$log" "$dir"/*.profraw
objects=()
for target in "$@"; do
    inputs=("$top/tests/fuzz/corpus/$target")
    [ -d "$top/tests/fuzz/regress/$target" ] && inputs+=("$top/tests/fuzz/regress/$target")
    # The newest thousand: a long campaign finds more than a look at its reach needs.
    list=$(find "$found/$target" -type f -printf '%T@ %p\n' 2>/dev/null |
        sort -rn | head -n 1000 | cut -d' ' -f2-)
    # shellcheck disable=SC2086 # names of inputs are hashes
    if ! LLVM_PROFILE_FILE=$dir/$target.profraw timeout 300 \
        "$dir/tests/fuzz/fuzz_$target" "${inputs[@]}" $list >"$dir/$target.log" 2>&1; then
        tail -n 5 "$dir/$target.log"
        echo "FAILED: line coverage: replaying $target"
        exit 1
    fi
    objects+=(-object "$dir/tests/fuzz/fuzz_$target")
done
llvm-profdata merge -sparse "$dir"/*.profraw -o "$dir/all.profdata" || exit 1
# A file that is part of several programs is counted once; what one of them ran counts as run.
for part in src/format src/core src/os src/base tools/stele; do
    llvm-cov report "${objects[@]:1}" "-instr-profile=$dir/all.profdata" "$top/$part" 2>/dev/null |
        awk -v part="$part" '$1 == "TOTAL" { printf "line coverage of %-12s %s\n", part, $10 }'
done
