#!/usr/bin/env bash
# What `make demo` runs: a tutorial that shows each command before it runs it.
# usage: tour.sh FOLDER      PICS=folder searches pictures of yours instead of the drawn ones
set -euo pipefail
export LC_ALL=C.UTF-8

bold=$'\e[1m' plain=$'\e[0m'
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || bold='' plain=''
about() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "$1"; bash -o pipefail -c "$1"; }

pictures=${PICS:+$(realpath -- "$PICS")}
mkdir -p "$1"
cd "$1"

if [ -n "$pictures" ]; then
  folder=photos
  ln -sfn "$pictures" "$folder"
  words="a person"
  asked='"a person" "a house by the sea" "food" "an animal" "at night"'
else
  about "A gallery to search, drawn by code"
  run "python -m mmr.demo ."
  words="a red apple"
  asked='"two cars" "a dog on the beach" "a blue fish" "a yellow star" "a cat at night" "a green tree"'
  folder=pictures
fi
rm -rf pics.mmr

about "Pictures become vectors, vectors become an index"
run "mmr embed $folder/ | mmr index pics.mmr"
example=$(mmr index pics.mmr --list | awk '!any || /cat-grey\.png/ { any = $0 } END { print any }')

about "Ask in words"
run "mmr query pics.mmr '$words' -k 5 --format table"

about "Ask by picture"
run "mmr query pics.mmr --image '$example' -k 5 --exclude-self --format table"

about "Ask many things at once, and look at the answers"
run "printf '{\"text\":\"%s\"}\\n' $asked >ask.jsonl"
run "mmr query pics.mmr --from ask.jsonl | mmr show --html gallery.html"

if [ -z "$pictures" ]; then
  about "How good is it? 537 questions whose answers are known, with 95 % intervals"
  run "mmr query pics.mmr --from queries.jsonl -k 50 | mmr eval qrels.tsv - -m 'hit@1,hit@10,nDCG@10' --ci --format table"
fi

about "Every night: only what changed is embedded, what is gone goes"
run "mmr embed $folder/ --skip-indexed pics.mmr | mmr index pics.mmr --sync"

about "What to try next"
printf '  %-60s %s\n' \
  "open $1/gallery.html" "the answers as a page" \
  "cd $1 && ../.venv/bin/mmr query pics.mmr 'a red umbrella'" "ask something yourself" \
  "make demo PICS=~/Pictures" "pictures of yours (photographs want --model clip)"
