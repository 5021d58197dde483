#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The main job on real input: append, kill -9 in mid-stream, find everything that was acknowledged, go on to the
# end, follow a live writer across segments, and catch one flipped bit. Usage: demo-run.sh TOOL
set -euo pipefail

stele=${1:?usage: demo-run.sh TOOL}
stele=$(cd -- "$(dirname -- "$stele")" && pwd)/$(basename -- "$stele")
top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/stele-demo.XXXXXX")
log=$work/log
small=(--segment-size 64K) # many segments out of little data
step=0

cleanup() {
    local pids
    pids=$(jobs -p)
    # shellcheck disable=SC2086 # one word a process
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

say() {
    step=$((step + 1))
    printf '%2d. %s\n' "$step" "$*"
}

die() {
    printf 'demo: FAILED: %s\n' "$*" >&2
    exit 1
}

# At least 20,000 lines of something this machine really has.
make_input() {
    local source=/var/log/dpkg.log
    if [ -r "$source" ] && [ "$(wc -l <"$source")" -ge 1000 ]; then
        cp "$source" "$work/source"
        from=$source
    else
        find "$top/src" "$top/tools" "$top/include" "$top/tests" -name '*.[ch]' -type f | sort |
            while read -r file; do cat "$file"; done >"$work/source"
        from="the project's own sources"
    fi
    [ -s "$work/source" ] || die "no input found"
    : >"$work/input"
    while [ "$(wc -l <"$work/input")" -lt 20000 ]; do
        cat "$work/source" >>"$work/input"
        # The last line ends, or the next copy would be joined to it.
        [ -z "$(tail -c 1 "$work/input")" ] || echo >>"$work/input"
    done
}

# The number of records that the appender has acknowledged; a line cut short by the kill does not count.
acknowledged() {
    sed -n 's/^ACK \([0-9][0-9]*\) [0-9][0-9]*$/\1/p' "$1" | tail -n 1
}

append_and_kill() {
    local size half
    size=$(wc -c <"$work/input")
    half=$((size / 2))
    mkfifo "$work/pipe"
    # The appender gets the first half and then waits for more: it cannot end before it is killed.
    "$stele" append --create --ack "$log" "${small[@]}" <"$work/pipe" >"$work/acks" 2>"$work/append.err" &
    local appender=$!
    exec 3>"$work/pipe"
    head -c "$half" "$work/input" >&3 &
    while [ -z "$(acknowledged "$work/acks")" ] || [ "$(acknowledged "$work/acks")" -lt 2000 ]; do
        kill -0 "$appender" 2>/dev/null || die "the appender ended: $(cat "$work/append.err")"
    done
    kill -9 "$appender"
    exec 3>&-
    wait "$appender" 2>/dev/null || true
    wait
    acked=$(acknowledged "$work/acks")
}

check_after_kill() {
    local verdict=0
    "$stele" verify "$log" >"$work/verify" || verdict=$?
    [ "$verdict" -le 1 ] || die "verify: $(cat "$work/verify")"
    say "stele verify: exit status $verdict: $(sed -n "s|$work/||; s/ (.*//; \$p" "$work/verify")"
    "$stele" cat "$log" >"$work/found"
    found=$(wc -l <"$work/found")
    [ "$found" -ge "$acked" ] || die "$acked lines were acknowledged, $found are there"
    head -n "$found" "$work/input" | cmp - "$work/found" || die "what is there is not what was sent"
    say "stele cat: $found lines are there, the $acked acknowledged ones among them, in order, byte for byte"
}

append_rest() {
    tail -n "+$((found + 1))" "$work/input" | "$stele" append "$log" 2>"$work/append.err" ||
        die "append: $(cat "$work/append.err")"
    "$stele" cat "$log" | cmp - "$work/input" || die "the log and the input differ"
    say "the rest was appended; cmp: the log holds the whole input, $(wc -l <"$work/input") lines"
}

# Sequence numbers of the segments that hold records.
newest_segment() {
    "$stele" stat "$log" --json | sed 's/.*"segments"//; s/{/\n{/g' | grep '"state":"\(active\|sealed\)"' |
        sed -n 's/.*"sequence":\([0-9]*\).*/\1/p' | tail -n 1
}

follow() {
    local before after follower
    before=$(newest_segment)
    head -n 4000 "$work/input" >"$work/more"
    # It begins with the last line, so that its first output shows that it stands at the end.
    tail -n 1 "$work/input" | cat - "$work/more" >"$work/expected"
    "$stele" tail -f "$log" --from -1 -n 4001 --timeout 30 >"$work/followed" 2>"$work/follow.err" &
    follower=$!
    while [ ! -s "$work/followed" ]; do
        kill -0 "$follower" 2>/dev/null || die "tail: $(cat "$work/follow.err")"
    done
    "$stele" append "$log" "$work/more" 2>"$work/append.err" || die "append: $(cat "$work/append.err")"
    wait "$follower" || die "tail: exit status $?: $(cat "$work/follow.err")"
    cmp "$work/expected" "$work/followed" || die "the follower saw something else"
    after=$(newest_segment)
    [ $((after - before)) -ge 2 ] || die "only $((after - before)) segment rolls"
    say "stele tail -f in a second process saw all 4000 lines that a third one appended, across $((after - before)) segment rolls"
}

flip_a_bit() {
    local segment offset byte verdict=0
    "$stele" backup "$log" "$work/copy" 2>/dev/null
    # The payload of a record in the middle of the copy, behind its header of 16 bytes.
    read -r segment offset < <("$stele" dump "$work/copy" --json | grep '"kind":"record"' |
        sed -n '10000s/.*"segment":"\([^"]*\)","offset":\([0-9]*\),.*/\1 \2/p')
    offset=$((offset + 16))
    byte=$(od -An -tu1 -j "$offset" -N 1 "$work/copy/$segment")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf '%02x' $((byte ^ 1)))" |
        dd of="$work/copy/$segment" bs=1 seek="$offset" conv=notrunc status=none
    "$stele" verify "$work/copy" >"$work/verify" || verdict=$?
    [ "$verdict" -eq 3 ] || die "verify of a flipped bit: exit status $verdict: $(cat "$work/verify")"
    grep -q "$segment at offset $((offset - 16)), " "$work/verify" || die "verify named another place: $(cat "$work/verify")"
    say "one bit flipped in a copy, at byte $offset of $segment; stele verify: exit status 3:"
    printf '      %s\n' "$(grep "$segment at offset" "$work/verify" | head -n 1)"
}

make_input
say "input: $(wc -l <"$work/input") lines, $(wc -c <"$work/input") bytes, from $from"
append_and_kill
say "stele append --create --ack, killed with SIGKILL in mid-stream: $acked lines had been acknowledged"
check_after_kill
append_rest
follow
flip_a_bit
say "the log as it is now:"
"$stele" stat "$log" | sed -n '/^durability/p; /^records/p; /LSN/p; /^space/p' | sed '/segment /d; s/^/      /'
echo "demo: everything as promised"
