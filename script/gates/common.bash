# SPDX-License-Identifier: Apache-2.0
#
# What every gate begins with. A gate is `script/gates/NAME [ROOT]`: it looks at the package in ROOT (this repository when
# none is named), and either prints `ok NAME SECONDS` or says what is wrong and exits with status 1.

# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit

gate=$(basename "$0")
gates=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$gates/../..}"
started=$EPOCHREALTIME

# Refuses: says why, with each further line indented below, and ends the gate.
refuse() {
    printf 'refused by gate %s: %s\n' "$gate" "$1" >&2
    [[ -z ${2:-} ]] || printf '%s\n' "$2" | sed 's/^/    /' >&2
    exit 1
}

# Refuses when a search found something. The search stands in an assignment before, where its own failure ends the gate.
refuse_matches() {
    local reason=$1 matches=$2
    [[ -z $matches ]] || refuse "$reason" "$matches"
}

# grep with file and line: no match is no error, but a grep that cannot run is.
search() {
    local status=0
    grep --with-filename --line-number --extended-regexp "$@" || status=$?
    [[ $status -le 1 ]] || refuse "grep failed with status $status on: $*"
}

passed() {
    local elapsed=$((${EPOCHREALTIME/[.,]/} - ${started/[.,]/}))
    printf 'ok %s %d.%02d s%s\n' "$gate" $((elapsed / 1000000)) $((elapsed % 1000000 / 10000)) "${1:+ ($1)}"
}

# The warnings in a build's log, each once.
warnings_in() {
    sed --regexp-extended --quiet '/(^|[^[:alpha:]-])warning:/p' "$1" | LC_ALL=C sort --unique
}
