#!/usr/bin/env bash
# Every scheme and every method, written by deepseek-quant: quantize_all.sh MODEL TEXT DIRECTORY
#   bits 8 6 5 4 3 2 x symmetric, asymmetric x one scale a channel, one a group; int8 activations at 8 bits symmetric;
#   calibrated on the demo's calibration text, every algorithm, transform, activation scale and mixture of bits.
# Each lands in DIRECTORY/schemes/<name> with its report over the first TOKENS tokens of TEXT; DIRECTORY/hdf5 gets an HDF5 file of
# the 8-bit symmetric scheme, and DIRECTORY/dequantized the same weights dequantized.
# Environment: DEEPSEEK_QUANT (.build/release/deepseek-quant), GROUP (128), CONTEXT (256), TOKENS (5120).
set -euo pipefail
if [ $# -ne 3 ]; then
  sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2
  exit 64
fi
model=$1 text=$2 directory=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
quant=${DEEPSEEK_QUANT:-$root/.build/release/deepseek-quant}
group=${GROUP:-128} context=${CONTEXT:-256} tokens=${TOKENS:-5120}
if [ ! -x "$quant" ]; then
  echo "quantize_all.sh: $quant is not there: run \`make build\` first, or set DEEPSEEK_QUANT" >&2
  exit 66
fi
mkdir -p "$directory/schemes"

write() {  # write NAME FLAGS...
  local name=$1
  shift
  echo "deepseek-quant $*" >&2
  "$quant" --model "$model" --output "$directory/$name" --overwrite --quiet "$@" >/dev/null
}
evaluation=(--eval "$text" --eval-tokens "$tokens" --sequence-length "$context")

for bits in 8 6 5 4 3 2; do
  for method in symmetric asymmetric; do
    for size in 0 "$group"; do
      write "schemes/w$bits-$method-g$size" --bits "$bits" --method "$method" --group-size "$size" "${evaluation[@]}"
    done
  done
done
write schemes/w8-a8 --bits 8 --method symmetric --group-size 0 --activations int8 "${evaluation[@]}"

calibration=(--calibration "$root/Sources/Recipes/Demo/calibration.txt" --calibration-samples 16)
calibrated() {  # calibrated NAME FLAGS...
  local name=$1
  shift
  write "schemes/$name" "$@" "${calibration[@]}" "${evaluation[@]}"
}
for algorithm in mse hqq imatrix awq gptq yaqa autoround; do
  calibrated "w4-$algorithm" --bits 4 --group-size "$group" --algorithm "$algorithm"
done
for algorithm in gptq yaqa; do
  calibrated "w3-asymmetric-$algorithm" --bits 3 --method asymmetric --group-size "$group" --algorithm "$algorithm"
  calibrated "w4-rotate-$algorithm" --bits 4 --group-size "$group" --rotate hadamard --algorithm "$algorithm"
done
calibrated w8-a8-smooth --bits 8 --activations int8 --smooth 0.5
calibrated w8-a8-static --bits 8 --activations int8-static
calibrated w4-a8-gptq --bits 4 --group-size "$group" --activations int8 --algorithm gptq
calibrated w4-mlp-yaqa --bits 4 --group-size "$group" --mixed-precision attention-fp16 --algorithm yaqa
for bits in 4 2; do
  calibrated "w$bits-qat" --bits "$bits" --group-size "$group" --algorithm qat --training-steps 20
done
calibrated w8-a8-qat --bits 8 --activations int8 --algorithm qat --training-steps 20
calibrated mixed-auto --mixed-precision auto --target-bpw 4.25

write hdf5 --bits 8 --format hdf5 --no-eval
write dequantized --bits 8 --format safetensors --no-eval
