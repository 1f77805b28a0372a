"""The matrix as a page of the documentation, and a cell as a line. Standard library alone."""

import time

from .cells import CONTEXT, COSINE_SENSITIVITY, EXACT, FORMATS, ROUNDED, SENSITIVITY, TITLES, TOKENS

HEADINGS = {
  "compressed-tensors": "compressed-tensors, by transformers", "safetensors": "safetensors, by transformers", "hdf5": "HDF5, by h5py and transformers",
  "gptq": "GPTQ, by transformers", "awq": "AWQ, by transformers", "gguf": "GGUF, by llama.cpp", "mlx": "MLX, by mlx-lm",
  "keras": "Keras, by KerasHub", "adapter": "Adapters, by PEFT"}


def figure(record):
  if "difference" in record:
    # Adding 0 takes the sign from what is rounded to nothing.
    return f"{round(100 * record['difference'], 3) + 0.0:+.3f} %"
  return f"{record['cosine']:.6f}" if "cosine" in record else ""


def verdict_line(record):
  tokens = record.get("tokens")
  parts = [record["verdict"], figure(record)]
  if "divergence" in record:
    parts.append(f"KL {record['divergence']:.1e}, logits {record['logits']:.1e}")
  if tokens:
    parts.append("tokens equal" if tokens["verdict"] == "green" else f"TOKENS: {tokens['message']}")
  return "  ".join(part for part in [*parts, record.get("message", "")] if part)


def shown(record):
  if record["verdict"] == "refused":
    return "refused"
  return f"{'🟢' if record['verdict'] == 'green' else '🔴'} {figure(record)}".strip()


def rows(planned, records, format):
  """Scheme by family; families without a cell of the format have no column."""
  table, families = {}, [family for family in TITLES if any(cell.family == family and cell.format == format for cell in planned)]
  for cell in planned:
    if cell.format == format:
      table.setdefault(cell.scheme, {})[cell.family] = shown(records[cell.name]) if cell.name in records else "not run"
  yield f"| | {' | '.join(TITLES[family] for family in families)} |"
  yield f"| --- |{' ---: |' * len(families)}"
  for scheme, found in table.items():
    yield f"| {scheme} | {' | '.join(found.get(family, '') for family in families)} |"


def model_rows(families):
  yield "| | hidden | inner | experts | layers | vocabulary | perplexity | least moved by |"
  yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  for family, found in families.items():
    config = found["config"]
    experts = next((config[key] for key in ("n_routed_experts", "num_local_experts", "num_experts") if config.get(key)), None)
    inner = config.get("moe_intermediate_size") or config["intermediate_size"]
    perplexity = f"{found['perplexity']:.2f}" if found["perplexity"] else "–"
    least = f"{min(found['rises'].values()):.1%}".replace("%", " %")
    yield (
      f"| {TITLES[family]} | {config['hidden_size']} | {inner} | {experts or '–'} | {config['num_hidden_layers']} | {config['vocab_size']} "
      f"| {perplexity} | {least} |")


def sentence(text):
  """One line of a list, without places of the machine that it ran on."""
  return " ".join(text.replace("|", "\\|").split())


def page(planned, records, families, versions, tool):
  cells = [cell for cell in planned if cell.name in records]
  found = [records[cell.name] for cell in cells]
  red = [cell for cell in cells if records[cell.name]["verdict"] == "red"]
  deaf = [cell for cell in cells if records[cell.name].get("tokens", {}).get("verdict") == "red"]
  told = {}
  for cell in cells:
    if records[cell.name]["verdict"] == "refused":
      told.setdefault((cell.format, cell.scheme), records[cell.name]["message"])
  spoken = sum("tokens" in record for record in found)
  lines = [
    "# What other programs make of our files",
    "",
    "Written by `make interop` (`Tests/Interop/matrix.py`); do not edit. Each cell is a file that `deepseek-optimize` wrote and the runtime named above "
    "the table loaded,",
    f"on the CPU. Both score the same {TOKENS // CONTEXT} windows of {CONTEXT} tokens; shown is by how much our perplexity differs from the runtime's. "
    "Of BERT, which predicts nothing, it is",
    "the least cosine between our embedding of a line and the runtime's.",
    "",
    f"- 🟢 within {EXACT:.1%}, or within {ROUNDED:.0%} where the runtime rounds what enters products itself: llama.cpp with quantized weights, "
    "int8 and FP8 activations, Keras's int8 layers.".replace("%", " %"),
    "- 🔴 anything else. What is wrong stands below.",
    "- refused: the format cannot express it. `deepseek-optimize` says so before any work, with what to do instead.",
    "- An empty cell is not in the set: what it would show, its neighbours do. Of the set itself, what was left out of the last run says so.",
    "",
    f"{sum(record['verdict'] == 'green' for record in found)} green, {len(red)} red, {sum(record['verdict'] == 'refused' for record in found)} refused, "
    f"{len(planned) - len(cells)} not run. Tokens of a text in many scripts, by the runtime's own tokenizer: equal in {spoken - len(deaf)} of {spoken} cells without quantization.",
    "",
    "| with | version |",
    "| --- | --- |",
    f"| deepseek-optimize | {tool} |",
    *(f"| {name} | {version} |" for name, version in sorted(versions.items())),
    f"| date | {time.strftime('%Y-%m-%d', time.gmtime())} |",
  ]
  for format in FORMATS:
    lines += ["", f"## {HEADINGS[format]}", "", *rows(planned, records, format)]
  if red or deaf:
    lines += ["", "## What is red", ""]
    lines += [f"- {TITLES[cell.family]}, {cell.format}, {cell.scheme}: {sentence(records[cell.name]['message'])}" for cell in red]
    lines += [f"- {TITLES[cell.family]}, {cell.format}, tokens: {sentence(records[cell.name]['tokens']['message'])}" for cell in deaf]
  if told:
    lines += ["", "## What is refused, and what to do instead", ""]
    lines += [f"- {format}, {scheme}: {sentence(message)}" for (format, scheme), message in told.items()]
  warned = {}
  for cell in cells:
    for warning in records[cell.name].get("warnings", []):
      warned.setdefault((cell.format, sentence(warning)), set()).add(TITLES[cell.family])
  if warned:
    lines += ["", "## What is written with a warning", ""]
    lines += [f"- {format}: {warning} ({', '.join(sorted(titles))})" for (format, warning), titles in warned.items()]
  lines += [
    "",
    "## The models",
    "",
    "Llama is the demo model. The others are small and were trained on the scored text until they knew it well, so that every weight counts: the last "
    "column is by how much the",
    f"perplexity rises at least when the rows of a single matrix are rolled by one place (of BERT, by how much the mean cosine falls). It must be more than "
    f"{SENSITIVITY:.0%} ({COSINE_SENSITIVITY:.1%}).".replace("%", " %"),
    "Families with 256 inputs in every row have GGUF's superblocks, the others fall back to blocks of 32.",
    "",
    *model_rows(families),
  ]
  return "\n".join(lines) + "\n"
