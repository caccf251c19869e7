#!/usr/bin/env bash
# Write constraints.txt, and the lock inside requirements-internlm2.txt, anew from the direct dependencies. usage: lock.sh UV
set -euo pipefail
uv=$1
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate)
lock=$("${compile[@]}" requirements.txt requirements-dev.txt)
{
  echo "# Every version that requirements.txt and requirements-dev.txt bring along. Written by \`make lock\`."
  echo "$lock"
} > constraints.txt

marker="# What those bring along (written by \`make lock\`)"
direct=$(sed "/^$marker/,\$d" requirements-internlm2.txt)
# The same versions as in the console's environment wherever transformers 4 allows, so that both share them on disk.
free='transformers|tokenizers|huggingface-hub|datasets|fsspec|flash-linear-attention|fla-core'
lock2=$("${compile[@]}" <(echo "$direct") --constraint <(grep -viE "^($free)==" <<<"$lock"))
own=$(sed 's/[=<>[ ].*//' <<<"$(grep -v '^#' <<<"$direct")" | paste -sd'|')
{ echo "$direct"; echo; echo "$marker"; grep -viE "^($own)==" <<<"$lock2"; } > requirements-internlm2.txt
