# shellcheck shell=bash
# Messages of the hack scripts: plain lines on standard error, colour only on a terminal.

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
  SAY_BOLD=$'\e[1m' SAY_RED=$'\e[31m' SAY_OFF=$'\e[0m'
else
  SAY_BOLD='' SAY_RED='' SAY_OFF=''
fi

say() { printf '%s%s%s\n' "$SAY_BOLD" "$*" "$SAY_OFF" >&2; }

# die MESSAGE...: what failed and what to do; exit 1
die() {
  printf '%s%s%s\n' "$SAY_RED" "$*" "$SAY_OFF" >&2
  exit 1
}
