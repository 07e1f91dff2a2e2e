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
    "index --kind") words="flat hnsw hnswsq8 sq8 pq rabitq binary bebr svd ivfflat ivfpq" ;;
    "index --memory") compopt +o default 2>/dev/null; return ;;
    "index --model") words="builtin clip clip-large siglip mobileclip" ;;
    "index --max-delete") compopt +o default 2>/dev/null; return ;;
    "index --format") words="table json" ;;
    "index --get") compopt +o default 2>/dev/null; return ;;
    "index --convert") words="flat hnsw hnswsq8 sq8 pq rabitq binary bebr svd ivfflat ivfpq" ;;
    "index --recall") compopt +o default 2>/dev/null; return ;;
    "index --tune-with") return ;;
    "index --correct") return ;;
    "index --calibrate") return ;;
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
    "query --min-prob") compopt +o default 2>/dev/null; return ;;
    "query --calibrate") return ;;
    "query --where") compopt +o default 2>/dev/null; return ;;
    "query --refine") compopt +o default 2>/dev/null; return ;;
    "query --recall") compopt +o default 2>/dev/null; return ;;
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
    "compose compose") words="image text sum weighted slerp cirevl ldre pdv-t pdv-i pdv-f sketch without seize expr default and or product seize-signed harris vote oti encoder describe prompt parse" ;;
    "compose --set") compopt +o default 2>/dev/null; return ;;
    "compose --fallback") compopt +o default 2>/dev/null; return ;;
    "compose --on-zero") words="fail skip text" ;;
    "compose --into") compopt +o default 2>/dev/null; return ;;
    "compose --from") return ;;
    "compose --ref-id") compopt +o default 2>/dev/null; return ;;
    "compose --caption") compopt +o default 2>/dev/null; return ;;
    "compose --edited") compopt +o default 2>/dev/null; return ;;
    "compose --not") compopt +o default 2>/dev/null; return ;;
    "compose --bind") compopt +o default 2>/dev/null; return ;;
    "compose --index") return ;;
    "compose --sweep") compopt +o default 2>/dev/null; return ;;
    "compose --vector-format") words="list base64" ;;
    "compose -o"|"compose --output") return ;;
    "compose --model") words="builtin clip clip-large siglip mobileclip" ;;
    "compose --model-of") return ;;
    "compose --template") compopt +o default 2>/dev/null; return ;;
    "compose --batch") compopt +o default 2>/dev/null; return ;;
    "compose --device") compopt +o default 2>/dev/null; return ;;
    "compose --precision") words="auto fp32 bf16 fp16" ;;
    "compose --threads") compopt +o default 2>/dev/null; return ;;
    "compose --errors") return ;;
    "compose --progress") words="auto plain none" ;;
    "compose --a") compopt +o default 2>/dev/null; return ;;
    "compose --caption-cmd") compopt +o default 2>/dev/null; return ;;
    "compose --caption-url") compopt +o default 2>/dev/null; return ;;
    "compose --rewrite-cmd") compopt +o default 2>/dev/null; return ;;
    "compose --rewrite-url") compopt +o default 2>/dev/null; return ;;
    "compose --style") compopt +o default 2>/dev/null; return ;;
    "compose --captions") compopt +o default 2>/dev/null; return ;;
    "compose --timeout") compopt +o default 2>/dev/null; return ;;
    "compose --cache") return ;;
    "compose --at") compopt +o default 2>/dev/null; return ;;
    "compose --ai") compopt +o default 2>/dev/null; return ;;
    "compose --b") compopt +o default 2>/dev/null; return ;;
    "compose --m") compopt +o default 2>/dev/null; return ;;
    "compose --g") compopt +o default 2>/dev/null; return ;;
    "compose --by") words="product min geometric" ;;
    "compose --lo") compopt +o default 2>/dev/null; return ;;
    "compose --hi") compopt +o default 2>/dev/null; return ;;
    "compose --n") compopt +o default 2>/dev/null; return ;;
    "compose --p") compopt +o default 2>/dev/null; return ;;
    "compose --of") compopt +o default 2>/dev/null; return ;;
    "compose --lambda") compopt +o default 2>/dev/null; return ;;
    "compose --least-v") compopt +o default 2>/dev/null; return ;;
    "compose --least-t") compopt +o default 2>/dev/null; return ;;
    "compose --tau") compopt +o default 2>/dev/null; return ;;
    "compose --image") return ;;
    "compose --text") compopt +o default 2>/dev/null; return ;;
    "compose --steps") compopt +o default 2>/dev/null; return ;;
    "compose --rate") compopt +o default 2>/dev/null; return ;;
    "compose --decay") compopt +o default 2>/dev/null; return ;;
    "compose --ema") compopt +o default 2>/dev/null; return ;;
    "compose --tokens") compopt +o default 2>/dev/null; return ;;
    "compose --seed") compopt +o default 2>/dev/null; return ;;
    "compose --format") words="jsonl npy" ;;
    "rerank rerank") words="superglobal aqe alpha-qe dba rocchio prf k-reciprocal diffusion diversify profile recipe fields fuse cut group unfold assign duplicates model cur extract" ;;
    "rerank --beta") compopt +o default 2>/dev/null; return ;;
    "rerank --from") return ;;
    "rerank -k") compopt +o default 2>/dev/null; return ;;
    "rerank --format") words="jsonl trec table ids" ;;
    "rerank --vector-format") words="list base64" ;;
    "rerank -o"|"rerank --output") return ;;
    "rerank --errors") return ;;
    "rerank --progress") words="auto plain none" ;;
    "rerank --overlap") compopt +o default 2>/dev/null; return ;;
    "rerank --last") compopt +o default 2>/dev/null; return ;;
    "rerank --g") compopt +o default 2>/dev/null; return ;;
    "rerank --guard") words="overlap fuse none" ;;
    "rerank --n") compopt +o default 2>/dev/null; return ;;
    "rerank --a") compopt +o default 2>/dev/null; return ;;
    "rerank --b") compopt +o default 2>/dev/null; return ;;
    "rerank --k1") compopt +o default 2>/dev/null; return ;;
    "rerank --k2") compopt +o default 2>/dev/null; return ;;
    "rerank --alpha") compopt +o default 2>/dev/null; return ;;
    "rerank --gamma") compopt +o default 2>/dev/null; return ;;
    "rerank --neighbours") compopt +o default 2>/dev/null; return ;;
    "rerank --seeds") compopt +o default 2>/dev/null; return ;;
    "rerank --blend") compopt +o default 2>/dev/null; return ;;
    "rerank --lambda") compopt +o default 2>/dev/null; return ;;
    "rerank --history") return ;;
    "rerank --recipe") compopt +o default 2>/dev/null; return ;;
    "rerank --field") compopt +o default 2>/dev/null; return ;;
    "rerank --norm") words="none minmax max sum z cosine rank isr borda" ;;
    "rerank --missing") words="zero min" ;;
    "rerank --constant") compopt +o default 2>/dev/null; return ;;
    "rerank --phi") compopt +o default 2>/dev/null; return ;;
    "rerank --weights") compopt +o default 2>/dev/null; return ;;
    "rerank --depth") compopt +o default 2>/dev/null; return ;;
    "rerank --min") compopt +o default 2>/dev/null; return ;;
    "rerank --max") compopt +o default 2>/dev/null; return ;;
    "rerank --first") compopt +o default 2>/dev/null; return ;;
    "rerank --z") compopt +o default 2>/dev/null; return ;;
    "rerank --ratio") compopt +o default 2>/dev/null; return ;;
    "rerank --mass") compopt +o default 2>/dev/null; return ;;
    "rerank --slope") compopt +o default 2>/dev/null; return ;;
    "rerank --offset") compopt +o default 2>/dev/null; return ;;
    "rerank --min-prob") compopt +o default 2>/dev/null; return ;;
    "rerank --by") words="max mean sum top-mean softmax log-mean-exp" ;;
    "rerank --over") words="retrieved all" ;;
    "rerank --top") compopt +o default 2>/dev/null; return ;;
    "rerank --temperature") compopt +o default 2>/dev/null; return ;;
    "rerank --children") compopt +o default 2>/dev/null; return ;;
    "rerank --index") return ;;
    "rerank --order") words="score parent" ;;
    "rerank --capacity") compopt +o default 2>/dev/null; return ;;
    "rerank --capacity-field") compopt +o default 2>/dev/null; return ;;
    "rerank --no-match") compopt +o default 2>/dev/null; return ;;
    "rerank --keep") words="largest oldest newest shortest first" ;;
    "rerank --final") words="replace convex" ;;
    "rerank --weight") compopt +o default 2>/dev/null; return ;;
    "rerank --prior") compopt +o default 2>/dev/null; return ;;
    "rerank --cmd") compopt +o default 2>/dev/null; return ;;
    "rerank --url") compopt +o default 2>/dev/null; return ;;
    "rerank --timeout") compopt +o default 2>/dev/null; return ;;
    "rerank --cache") return ;;
    "rerank --anchors") return ;;
    "rerank --budget") compopt +o default 2>/dev/null; return ;;
    "rerank --rounds") compopt +o default 2>/dev/null; return ;;
    "rerank --method") words="rrf combsum combmnz combanz combmax combmed isr log-isr log1p-isr borda rbc convex" ;;
    "rerank --prompt") compopt +o default 2>/dev/null; return ;;
    "rerank --words") compopt +o default 2>/dev/null; return ;;
    "rerank --sentences") compopt +o default 2>/dev/null; return ;;
    "rerank --min-score") compopt +o default 2>/dev/null; return ;;
    "rerank --model") words="builtin clip clip-large siglip mobileclip" ;;
    "rerank --device") compopt +o default 2>/dev/null; return ;;
    "rerank --precision") words="auto fp32 bf16 fp16" ;;
    "rerank --threads") compopt +o default 2>/dev/null; return ;;
    "normalize normalize") words="apply export l2 minmax max sum z cosine rank isr borda dual-softmax batch-sinkhorn" ;;
    "normalize --alpha") compopt +o default 2>/dev/null; return ;;
    "normalize -k") compopt +o default 2>/dev/null; return ;;
    "normalize --min-prob") compopt +o default 2>/dev/null; return ;;
    "normalize --as") words="items queries" ;;
    "normalize --vector-format") words="list base64" ;;
    "normalize -o"|"normalize --output") return ;;
    "normalize --errors") return ;;
    "normalize --progress") words="auto plain none" ;;
    "normalize --index") return ;;
    "normalize --weight") compopt +o default 2>/dev/null; return ;;
    "normalize --scope") words="query stream" ;;
    "normalize --format") words="jsonl trec table ids npy" ;;
    "normalize --beta") compopt +o default 2>/dev/null; return ;;
    "normalize --tau") compopt +o default 2>/dev/null; return ;;
    "normalize --iterations") compopt +o default 2>/dev/null; return ;;
    "fit fit") words="nnn csls gc is dis dualis dualdis nicdm zscore mp sinkhorn dbsn centre abtt pca whiten invgc localadj map calibrate" ;;
    "fit --sweep") compopt +o default 2>/dev/null; return ;;
    "fit --from") return ;;
    "fit --measure") compopt +o default 2>/dev/null; return ;;
    "fit --template") compopt +o default 2>/dev/null; return ;;
    "fit --model") words="builtin clip clip-large siglip mobileclip" ;;
    "fit -o"|"fit --output") return ;;
    "fit --progress") words="auto plain none" ;;
    "fit --neighbours") compopt +o default 2>/dev/null; return ;;
    "fit --alpha") compopt +o default 2>/dev/null; return ;;
    "fit --beta") compopt +o default 2>/dev/null; return ;;
    "fit --hubs") compopt +o default 2>/dev/null; return ;;
    "fit --gallery-beta") compopt +o default 2>/dev/null; return ;;
    "fit --tau") compopt +o default 2>/dev/null; return ;;
    "fit --iterations") compopt +o default 2>/dev/null; return ;;
    "fit --index") return ;;
    "fit --directions") compopt +o default 2>/dev/null; return ;;
    "fit --dims") compopt +o default 2>/dev/null; return ;;
    "fit --mean") words="modality overall" ;;
    "fit --length") words="unit keep" ;;
    "fit --shrink") compopt +o default 2>/dev/null; return ;;
    "fit --bank") return ;;
    "fit --gallery-bank") return ;;
    "fit --rate") compopt +o default 2>/dev/null; return ;;
    "fit --query-rate") compopt +o default 2>/dev/null; return ;;
    "fit --pool") compopt +o default 2>/dev/null; return ;;
    "fit --source") return ;;
    "fit --target") return ;;
    "fit --form") words="zca pca" ;;
    "fit --ridge") compopt +o default 2>/dev/null; return ;;
    "fit --qrels") return ;;
    "fit --method") words="platt isotonic query" ;;
    "fit --rel") compopt +o default 2>/dev/null; return ;;
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
      "embed") words="--text --files-from -0 --null --include --exclude --id --skip-indexed --eof --queries --modality --bind --invert --max-pixels --list-models --format --vector-format -o --output --model --model-of --template --batch --device --precision --threads --errors --strict -q --quiet --progress -h --help" ;;
      "index") words="--kind --memory --model --delete --sync --dry-run --max-delete --info --format --list --get --check --rebuild --convert --tune --recall --tune-with --correct --no-correct --calibrate --no-calibrate --compact --export-tower --dump --wait --vector-format -o --output --errors --strict -q --quiet --progress -h --help" ;;
      "query") words="--image --from --all-items -k --min-score --min-prob --calibrate --where --exclude-self --exact --refine --recall --fields --with-vectors --format --vector-format -o --output --model --template --device --precision --threads --errors --strict -q --quiet --progress -h --help" ;;
      "compose") words="-h --help --set --fallback --on-zero --raw --into --keep-length --from --ref-id --caption --edited --not --bind --index --sweep --exclude-reference --keep-reference --explain --vector-format -o --output --model --model-of --template --batch --device --precision --threads --errors --strict -q --quiet --progress --a --caption-cmd --caption-url --rewrite-cmd --rewrite-url --style --captions --timeout --cache --no-cache --at --ai --b --m --g --by --lo --hi --n --p --of --lambda --least-v --least-t --tau --image --text --steps --rate --decay --ema --tokens --seed --keep-bindings --format" ;;
      "rerank") words="-h --help --beta --from -k --explain --format --vector-format -o --output --errors --strict -q --quiet --progress --overlap --research --last --g --guard --n --a --b --average --k1 --k2 --alpha --gamma --neighbours --seeds --blend --lambda --history --share --recipe --field --raw --norm --missing --constant --phi --weights --depth --min --max --first --z --ratio --mass --slope --offset --min-prob --by --over --top --temperature --children --index --order --one-to-one --capacity --capacity-field --no-match --keep --final --weight --prior --cmd --url --timeout --cache --no-cache --anchors --budget --rounds --method --prompt --words --sentences --min-score --model --device --precision --threads" ;;
      "normalize") words="-h --help --alpha -k --min-prob --as --force --vector-format -o --output --errors --strict -q --quiet --progress --index --weight --lift --scope --format --beta --transductive --tau --iterations" ;;
      "fit") words="-h --help --sweep --from --measure --template --model --force -o --output -q --quiet --progress --neighbours --alpha --beta --hubs --gallery-beta --tau --iterations --index --directions --dims --mean --length --shrink --bank --gallery-bank --rate --query-rate --pool --source --target --form --ridge --qrels --method --rel" ;;
      "eval") words="-m --measures --ci --compare --test --per-query --group-by --groups --train-queries --test-queries --similarity --assert --ties --score-precision --over --judged-only --gallery-size --index --protocol --images --exclude-reference --split --write-queries --write-gallery --write-submission --hubness --gap --shares -k --manifest --plot --format --seed --list-measures --list-protocols -o --output -q --quiet --progress -h --help" ;;
      "show") words="--html --title --size --errors --strict -q --quiet --progress -h --help" ;;
      esac
    elif [[ -z $command ]]; then
      words="embed index query compose rerank normalize fit eval show"
    fi ;;
  esac
  if [[ -n $words ]]; then
    compopt +o default 2>/dev/null
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _mmr mmr
