# Written by man/generate.py from the command tree; `make docs` writes it again.

_mmr() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="" words="" i
  COMPREPLY=()
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $before == "=" ]]; then
    before="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command="${COMP_WORDS[i]}"
      break
    fi
  done
  case "$command $before" in
    "embed --text") compopt +o default 2>/dev/null; return ;;
    "embed --files-from") return ;;
    "embed --include") compopt +o default 2>/dev/null; return ;;
    "embed --exclude") compopt +o default 2>/dev/null; return ;;
    "embed --id") compopt +o default 2>/dev/null; return ;;
    "embed --skip-indexed") return ;;
    "embed --modality") words="image text both" ;;
    "embed --bind") compopt +o default 2>/dev/null; return ;;
    "embed --max-pixels") compopt +o default 2>/dev/null; return ;;
    "embed --format") words="jsonl npy" ;;
    "embed --vector-format") words="list base64" ;;
    "embed -o"|"embed --output") return ;;
    "embed --model") words="builtin clip clip-large siglip mobileclip" ;;
    "embed --model-of") return ;;
    "embed --template") compopt +o default 2>/dev/null; return ;;
    "embed --batch") compopt +o default 2>/dev/null; return ;;
    "embed --device") compopt +o default 2>/dev/null; return ;;
    "embed --precision") words="auto fp32 bf16 fp16" ;;
    "embed --threads") compopt +o default 2>/dev/null; return ;;
    "embed --errors") return ;;
    "embed --progress") words="auto plain none" ;;
    "index --kind") words="flat hnsw hnswsq8 sq8 pq rabitq binary ivfflat ivfpq" ;;
    "index --model") words="builtin clip clip-large siglip mobileclip" ;;
    "index --max-delete") compopt +o default 2>/dev/null; return ;;
    "index --format") words="table json" ;;
    "index --get") compopt +o default 2>/dev/null; return ;;
    "index --convert") words="flat hnsw hnswsq8 sq8 pq rabitq binary ivfflat ivfpq" ;;
    "index --tune-with") return ;;
    "index --export-tower") words="fp32 int8" ;;
    "index --wait") compopt +o default 2>/dev/null; return ;;
    "index --vector-format") words="list base64" ;;
    "index -o"|"index --output") return ;;
    "index --errors") return ;;
    "index --progress") words="auto plain none" ;;
    "query --image") return ;;
    "query --from") return ;;
    "query -k") compopt +o default 2>/dev/null; return ;;
    "query --min-score") compopt +o default 2>/dev/null; return ;;
    "query --where") compopt +o default 2>/dev/null; return ;;
    "query --refine") compopt +o default 2>/dev/null; return ;;
    "query --fields") compopt +o default 2>/dev/null; return ;;
    "query --format") words="jsonl trec table ids" ;;
    "query --vector-format") words="list base64" ;;
    "query -o"|"query --output") return ;;
    "query --model") words="builtin clip clip-large siglip mobileclip" ;;
    "query --template") compopt +o default 2>/dev/null; return ;;
    "query --device") compopt +o default 2>/dev/null; return ;;
    "query --precision") words="auto fp32 bf16 fp16" ;;
    "query --threads") compopt +o default 2>/dev/null; return ;;
    "query --errors") return ;;
    "query --progress") words="auto plain none" ;;
    "normalize normalize") words="apply l2 minmax max sum z cosine rank isr borda" ;;
    "normalize --index") return ;;
    "normalize --alpha") compopt +o default 2>/dev/null; return ;;
    "normalize -k") compopt +o default 2>/dev/null; return ;;
    "normalize --vector-format") words="list base64" ;;
    "normalize -o"|"normalize --output") return ;;
    "normalize --errors") return ;;
    "normalize --progress") words="auto plain none" ;;
    "normalize --format") words="jsonl trec table ids" ;;
    "normalize --scope") words="query stream" ;;
    "fit fit") words="nnn csls gc is dis dualis dualdis nicdm zscore mp sinkhorn" ;;
    "fit --index") return ;;
    "fit --bank") return ;;
    "fit --model") words="builtin clip clip-large siglip mobileclip" ;;
    "fit -o"|"fit --output") return ;;
    "fit --progress") words="auto plain none" ;;
    "fit --neighbours") compopt +o default 2>/dev/null; return ;;
    "fit --alpha") compopt +o default 2>/dev/null; return ;;
    "fit --beta") compopt +o default 2>/dev/null; return ;;
    "fit --hubs") compopt +o default 2>/dev/null; return ;;
    "fit --gallery-bank") return ;;
    "fit --gallery-beta") compopt +o default 2>/dev/null; return ;;
    "fit --tau") compopt +o default 2>/dev/null; return ;;
    "fit --iterations") compopt +o default 2>/dev/null; return ;;
    "eval -m"|"eval --measures") compopt +o default 2>/dev/null; return ;;
    "eval --test") words="randomization t wilcoxon" ;;
    "eval --group-by") compopt +o default 2>/dev/null; return ;;
    "eval --groups") return ;;
    "eval --train-queries") return ;;
    "eval --test-queries") return ;;
    "eval --similarity") compopt +o default 2>/dev/null; return ;;
    "eval --assert") compopt +o default 2>/dev/null; return ;;
    "eval --ties") words="docid-desc docid-asc input average best worst" ;;
    "eval --score-precision") words="f32 f64" ;;
    "eval --over") words="qrels both nonempty" ;;
    "eval --gallery-size") compopt +o default 2>/dev/null; return ;;
    "eval --index") return ;;
    "eval --protocol") compopt +o default 2>/dev/null; return ;;
    "eval --images") return ;;
    "eval --split") compopt +o default 2>/dev/null; return ;;
    "eval --write-queries") return ;;
    "eval --write-gallery") return ;;
    "eval --write-submission") return ;;
    "eval --shares") compopt +o default 2>/dev/null; return ;;
    "eval -k") compopt +o default 2>/dev/null; return ;;
    "eval --manifest") return ;;
    "eval --plot") return ;;
    "eval --format") words="table jsonl tsv markdown latex" ;;
    "eval --seed") compopt +o default 2>/dev/null; return ;;
    "eval -o"|"eval --output") return ;;
    "eval --progress") words="auto plain none" ;;
    "show --html") return ;;
    "show --title") compopt +o default 2>/dev/null; return ;;
    "show --size") compopt +o default 2>/dev/null; return ;;
    "show --errors") return ;;
    "show --progress") words="auto plain none" ;;
    *)
    if [[ $current == -* ]]; then
      case "$command" in
      "") words="--verbose --version --debug -h --help" ;;
      "embed") words="--text --files-from -0 --null --include --exclude --id --skip-indexed --eof --queries --modality --bind --max-pixels --list-models --format --vector-format -o --output --model --model-of --template --batch --device --precision --threads --errors --strict -q --quiet --progress -h --help" ;;
      "index") words="--kind --model --delete --sync --dry-run --max-delete --info --format --list --get --check --rebuild --convert --tune-with --compact --export-tower --dump --wait --vector-format -o --output --errors --strict -q --quiet --progress -h --help" ;;
      "query") words="--image --from --all-items -k --min-score --where --exclude-self --exact --refine --fields --with-vectors --format --vector-format -o --output --model --template --device --precision --threads --errors --strict -q --quiet --progress -h --help" ;;
      "normalize") words="-h --help --index --alpha -k --force --vector-format -o --output --errors --strict -q --quiet --progress --format --scope" ;;
      "fit") words="-h --help --index --bank --model --force -o --output -q --quiet --progress --neighbours --alpha --beta --hubs --gallery-bank --gallery-beta --tau --iterations" ;;
      "eval") words="-m --measures --ci --compare --test --per-query --group-by --groups --train-queries --test-queries --similarity --assert --ties --score-precision --over --judged-only --gallery-size --index --protocol --images --exclude-reference --split --write-queries --write-gallery --write-submission --hubness --gap --shares -k --manifest --plot --format --seed --list-measures --list-protocols -o --output -q --quiet --progress -h --help" ;;
      "show") words="--html --title --size --errors --strict -q --quiet --progress -h --help" ;;
      esac
    elif [[ -z $command ]]; then
      words="embed index query normalize fit eval show"
    fi ;;
  esac
  if [[ -n $words ]]; then
    compopt +o default 2>/dev/null
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _mmr mmr
