#!/usr/bin/env bash
# What `make interop` runs: our tokens, checkpoints and HDF5 files against the public libraries. The package must be built.
# The matrix of families, formats and runtimes is written into Docs/interop.md.
# Environment: DEEPSEEK_INTEROP_PYTHON    an interpreter that has requirements.txt (default: .venv, made by setup.sh)
#              DEEPSEEK_OPTIMIZE_MODELS   a directory with wiki-llama, checked as well when set
#              DEEPSEEK_OPTIMIZE_TEXT     what wiki-llama is scored on (default: the demo's evaluation text)
#              DEEPSEEK_INTEROP_OUTPUT    keeps what is written here (default: a temporary directory, removed at the end)
# Exit status 1 when anything disagrees; every part runs whatever the others say.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${DEEPSEEK_INTEROP_PYTHON:-}
if [ -z "$python" ]; then
  "$here/setup.sh" "$root/.venv"
  python=$root/.venv/bin/python
fi
export PYTHONDONTWRITEBYTECODE=1

output=${DEEPSEEK_INTEROP_OUTPUT:-}
if [ -z "$output" ]; then
  output=$(mktemp -d "${TMPDIR:-/tmp}/deepseek-interop.XXXXXX")
  trap 'rm -rf "$output"' EXIT
fi
demo=$root/Sources/Recipes/Demo
failures=()

part() {  # part NAME COMMAND...: runs it, remembers when it fails
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  "$@" || failures+=("$name")
}

check_model() {  # check_model NAME MODEL TEXT
  local name=$1 model=$2 text=$3 into=$output/$1
  part "$name: quantize" "$here/quantize_all.sh" "$model" "$text" "$into"
  part "$name: checkpoints" "$python" "$here/checkpoints.py" --context "${CONTEXT:-256}" --tokens "${TOKENS:-5120}" \
    "$model" "$text" "$into"/schemes/*
  part "$name: HDF5" "$python" "$here/hdf5.py" "$into/hdf5" "$into/schemes/w8-symmetric-g0" "$into/dequantized"
}

if [ -f "$here/tokenizers.py" ]; then
  part "tokenizers" "$python" "$here/tokenizers.py"
else
  echo "tokenizers.py is not there: tokens are not compared"
fi
part "adapters" "$python" "$here/finetune.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/calibration.txt"
part "pruning" "$python" "$here/pruning.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/evaluation.txt"
part "families" "$python" "$here/families.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/evaluation.txt"
part "Keras" "$python" "$here/keras_files.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/evaluation.txt"
part "MLX" "$python" "$here/mlx.py" "$root/.build/release/deepseek-optimize" "$demo/evaluation.txt" "$demo/model"
part "pages" "$python" "$here/pages.py" "$root/.build/release/deepseek-optimize"
part "replacement" "$python" "$here/replacement.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/evaluation.txt"
part "matrix" "$python" "$here/matrix.py" "$root/.build/release/deepseek-optimize" "$demo/model" "$demo/evaluation.txt" --docs "$root/Docs/interop.md"
check_model demo "$demo/model" "$demo/evaluation.txt"
if [ -n "${DEEPSEEK_OPTIMIZE_MODELS:-}" ]; then
  check_model wiki-llama "$DEEPSEEK_OPTIMIZE_MODELS/wiki-llama" "${DEEPSEEK_OPTIMIZE_TEXT:-$demo/evaluation.txt}"
fi

printf '\n'
if [ ${#failures[@]} -gt 0 ]; then
  printf 'interop: failed: %s\n' "${failures[@]}"
  exit 1
fi
echo "interop: everything agrees"
