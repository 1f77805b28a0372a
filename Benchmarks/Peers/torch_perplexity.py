"""Perplexity of a Llama checkpoint in PyTorch (transformers), for its speed: bfloat16, sdpa attention, windows of 512 alone, batches of 4."""
import sys, time, torch, math
from transformers import AutoModelForCausalLM, AutoTokenizer
directory, text, count, threads, dtype = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), getattr(torch, sys.argv[5])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval()
tokens = AutoTokenizer.from_pretrained(directory)(open(text).read()[:count*8])["input_ids"]
context = 512
windows = torch.tensor(tokens[:count // context * context]).view(-1, context)
best = []
with torch.inference_mode():
    model(windows[:1])
    start = time.perf_counter(); total = 0.0; n = 0
    for b in windows.split(4):
        logits = model(b).logits[:, :-1].float()
        total += torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), b[:, 1:].reshape(-1), reduction="sum").item()
        n += b.shape[0] * (context - 1)
    seconds = time.perf_counter() - start
print(f"{windows.numel() / seconds:.1f} tokens/s, perplexity {math.exp(total / n):.4f}, {n} predictions")
