"""What the matrix holds: of every family and format the bits and schemes that differ, and what must come out of each. Standard library alone.

A cell is one file that we write, or refuse to write, and the runtime that loads it. The set covers rather than multiplies: every width, method and
type of a format is there with at least one family that divides into its blocks and one that does not, every family with every format that both have.
"""

from dataclasses import dataclass

CONTEXT, TOKENS = 64, 2048  # of text: windows that are scored alone, all but the first token of each
# What a perplexity may differ by: where weights are the same numbers, and where the runtime rounds what enters a product itself.
EXACT, ROUNDED = 0.003, 0.01
# Of embeddings, the least cosine.
COSINE, ROUNDED_COSINE = 0.9999, 0.999
# Rolling the rows of any one matrix must move a perplexity by more than this, or a cosine, or the comparison would prove nothing.
SENSITIVITY, COSINE_SENSITIVITY = 0.05, 0.005
TITLES = {
  "llama": "Llama", "qwen2": "Qwen 2", "qwen3": "Qwen 3", "mistral": "Mistral", "mixtral": "Mixtral", "qwen3-moe": "Qwen 3 MoE",
  "deepseek-v2": "DeepSeek-V2", "deepseek-v3": "DeepSeek-V3", "bert": "BERT"}
FAMILIES = list(TITLES)
DECODERS = [family for family in FAMILIES if family != "bert"]
# Rows that divide into superblocks of 256; the others fall back to blocks of 32.
WIDE = ["qwen2", "mistral", "qwen3-moe", "deepseek-v3"]
RUNTIMES = {
  "compressed-tensors": "transformers", "safetensors": "transformers", "hdf5": "transformers", "gptq": "transformers", "awq": "transformers",
  "gguf": "llama_cpp", "mlx": "mlx_lm", "keras": "keras_hub", "adapter": "peft"}
FORMATS = list(RUNTIMES)
# Written in every script that tokenizers cut differently; composed, because llama.cpp composes nothing.
UNICODE = (
  "In 1997, the town had 12,345 inhabitants – twice as many.\n\n  \"Naïve\" café, Ærøskøbing;\tstraße ŁÓDŹ\n"
  "Привет, мир! Γειά σου. שלום عالم 你好，世界。こんにちは 안녕하세요 नमस्ते ไทย\n"
  "x² + y³ ≠ ½ ∑∞ € £5.99 🙂🇫🇷👩‍🚀 don't I'LL we've   end  ")


@dataclass(frozen=True)
class Cell:
  family: str
  format: str
  scheme: str  # a row of the table
  flags: tuple  # of the command, after its name
  expected: str = "equal"  # or "refused": what the format cannot express
  rounds: bool = False  # the runtime quantizes activations itself

  @property
  def runtime(self):
    return RUNTIMES[self.format]

  @property
  def name(self):
    return f"{self.family}/{self.format}/{self.scheme}"

  @property
  def tolerance(self):
    return ROUNDED if self.rounds else EXACT


def cells():
  found = []

  def quantized(families, format, scheme, *flags, **more):
    for family in families:
      found.append(Cell(family, format, scheme, ("quant", *flags, "--format", format, "--no-eval"), **more))

  def converted(families, format, scheme="as it is", **more):
    for family in families:
      found.append(Cell(family, format, scheme, ("convert", "--format", format), **more))

  def refused(families, format, scheme, *flags):
    quantized(families, format, scheme, *flags, expected="refused")

  def integers(families, format, bits, method, group):
    extent = f"g{group}" if group else "channel"
    quantized(families, format, f"{bits} bits {method} {extent}", "--bits", bits, "--method", method, "--group-size", group)

  others = [family for family in DECODERS if family != "llama"]

  converted(FAMILIES, "safetensors")
  quantized(["llama", "mixtral", "deepseek-v3", "bert"], "safetensors", "4 bits, dequantized", "--bits", 4, "--group-size", 32)

  for bits in (8, 6, 5, 4, 3, 2):
    for method in ("symmetric", "asymmetric"):
      for group in (0, 64):
        integers(["llama"], "compressed-tensors", bits, method, group)
  integers([*others, "bert"], "compressed-tensors", 8, "symmetric", 0)
  integers([*others, "bert"], "compressed-tensors", 4, "symmetric", 64)
  integers(["qwen2", "mistral"], "compressed-tensors", 4, "asymmetric", 64)
  integers(["qwen3", "deepseek-v3"], "compressed-tensors", 3, "symmetric", 64)
  quantized(
    ["llama", "qwen2", "qwen3", "mistral"], "compressed-tensors", "8 bits, int8 activations", "--bits", 8, "--activations", "int8", rounds=True)
  for name, rounds in (("FP8_DYNAMIC", True), ("FP8_BLOCK", True), ("MXFP4A16", False), ("NVFP4A16", False)):
    quantized(["llama", "qwen2", "mistral"], "compressed-tensors", name, "--scheme", name, rounds=rounds)
  for kind in ("fp8", "fp8-tensor", "fp8-block"):
    quantized(["llama", "qwen2"], "compressed-tensors", kind, "--type", kind)
  quantized(["deepseek-v3"], "compressed-tensors", "FP8_DYNAMIC", "--scheme", "FP8_DYNAMIC", rounds=True)
  quantized(["mixtral"], "compressed-tensors", "MXFP4A16", "--scheme", "MXFP4A16")
  refused(["llama"], "compressed-tensors", "4 bits symmetric g96", "--bits", 4, "--group-size", 96)

  converted(FAMILIES, "gguf")
  for bits in (8, 6, 5, 4, 3, 2):
    quantized(["llama", *WIDE], "gguf", f"{bits} bits", "--bits", bits, rounds=True)
  for bits in (8, 4):
    quantized(["qwen3", "mixtral", "deepseek-v2", "bert"], "gguf", f"{bits} bits", "--bits", bits, rounds=True)
  for kind in ("q5_0", "q5_1", "q4_0", "q4_1", "iq4_nl", "mxfp4"):
    quantized(["llama", "qwen2"], "gguf", kind, "--gguf-type", kind, rounds=True)
  quantized(["mixtral"], "gguf", "mxfp4", "--gguf-type", "mxfp4", rounds=True)
  refused(["llama"], "gguf", "4 bits symmetric g64", "--bits", 4, "--group-size", 64)
  refused(["llama"], "gguf", "8 bits symmetric channel", "--bits", 8, "--group-size", 0)
  refused(["llama"], "gguf", "8 bits, int8 activations", "--bits", 8, "--activations", "int8")

  converted(DECODERS, "mlx")
  for bits in (8, 6, 5, 4, 3, 2):
    integers(["llama"], "mlx", bits, "asymmetric", 64)
  integers(["llama"], "mlx", 4, "symmetric", 64)
  integers(["llama"], "mlx", 3, "symmetric", 32)
  integers(["llama"], "mlx", 4, "asymmetric", 128)
  for bits in (8, 4):
    integers(others, "mlx", bits, "asymmetric", 64)
  integers(["qwen2", "deepseek-v3"], "mlx", 2, "asymmetric", 32)
  refused(["llama"], "mlx", "4 bits symmetric channel", "--bits", 4, "--group-size", 0)
  refused(["llama"], "mlx", "4 bits symmetric g16", "--bits", 4, "--group-size", 16)
  refused(["llama"], "mlx", "8 bits, int8 activations", "--bits", 8, "--activations", "int8")

  for bits in (8, 4, 3, 2):
    for method in ("symmetric", "asymmetric"):
      integers(["llama"], "gptq", bits, method, 64)
  integers(["llama"], "gptq", 4, "symmetric", 0)
  integers(["qwen2", "qwen3", "mistral"], "gptq", 4, "symmetric", 64)
  refused(["llama"], "gptq", "6 bits symmetric g64", "--bits", 6, "--group-size", 64)
  refused(["llama"], "gptq", "5 bits symmetric g64", "--bits", 5, "--group-size", 64)
  for group in (32, 64, 128):
    integers(["llama"], "awq", 4, "asymmetric", group)
  integers(["qwen2", "qwen3", "mistral"], "awq", 4, "asymmetric", 64)
  refused(["llama"], "awq", "8 bits asymmetric g64", "--bits", 8, "--method", "asymmetric", "--group-size", 64)

  # Loaders must not take a layer for quantized that is not. transformers holds routed experts as one tensor, which neither format has a form of.
  some = ("--ignore", r"re:.*layers\.1\.mlp\..*(gate|up|down)_proj", "--ignore", "re:.*o_proj")
  experts = ("--ignore", r"re:.*\.experts\.[0-9]+\..*")
  for format in ("gptq", "awq"):
    quantized(["llama"], format, "4 bits, some layers dense", "--bits", 4, "--group-size", 32, *some)
    quantized(["qwen3-moe", "deepseek-v3"], format, "4 bits, experts dense", "--bits", 4, "--group-size", 64, *experts)

  converted(["llama", "mistral"], "keras")
  quantized(["llama", "mistral"], "keras", "8 bits, int8 activations", "--bits", 8, rounds=True)
  refused(["llama"], "keras", "4 bits symmetric channel", "--bits", 4, "--group-size", 0)
  refused(["qwen2"], "keras", "8 bits, int8 activations", "--bits", 8)

  converted(["llama", "qwen3-moe", "bert"], "hdf5")
  integers(["llama", "deepseek-v3"], "hdf5", 8, "symmetric", 0)
  integers(["llama", "qwen2"], "hdf5", 4, "symmetric", 64)

  for scheme, flags in {"LoRA": (), "rsLoRA": ("--rslora",), "DoRA": ("--dora",)}.items():
    for family in ("llama", "qwen2", "qwen3"):
      found.append(Cell(family, "adapter", scheme, (
        "finetune", "--data", "TEXT", "--steps", 4, "--rank", 4, "--learning-rate", 5e-3, "--sequence-length", CONTEXT, "--batch-size", 4, *flags)))
  return found
