"""llama.cpp as a worker (see worker.py), through llama-cpp-python's low-level interface.

It is driven as its own server drives it: all sequences share one batch a step and one unified cache, prompts
go in whole, and only the rows that are needed get logits. Run by the Python of an environment that has
llama-cpp-python and NumPy; usage: llamacpp_worker.py MODEL.gguf THREADS.
"""

from __future__ import annotations

import json
import sys
import time

import llama_cpp
import numpy as np

BATCH = 2048  # most tokens of one call; llama.cpp computes them 512 at a time


class Batch:
    """A llama_batch that is filled token by token and decoded when full or asked to."""

    def __init__(self, context, vocab_size):
        self._context = context
        self._vocab_size = vocab_size
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self._count = 0
        self._wanted = []  # (sequence, row) whose next token is asked for
        self.following = {}  # sequence -> greedy next token

    def add(self, token, position, sequence, wanted):
        row = self._count
        self._batch.token[row] = token
        self._batch.pos[row] = position
        self._batch.n_seq_id[row] = 1
        self._batch.seq_id[row][0] = sequence
        self._batch.logits[row] = int(wanted)
        if wanted:
            self._wanted.append((sequence, row))
        self._count += 1
        if self._count == BATCH:
            self.decode()

    def decode(self):
        if self._count == 0:
            return
        self._batch.n_tokens = self._count
        status = llama_cpp.llama_decode(self._context, self._batch)
        if status != 0:
            raise RuntimeError(f"llama_decode gave {status}")
        for sequence, row in self._wanted:
            pointer = llama_cpp.llama_get_logits_ith(self._context, row)
            logits = np.ctypeslib.as_array(pointer, (self._vocab_size,))
            self.following[sequence] = int(logits.argmax())
        self._wanted.clear()
        self._count = 0

    def free(self):
        llama_cpp.llama_batch_free(self._batch)


def run(model, vocab_size, threads, prompts, new_tokens):
    requests, longest = len(prompts), max(map(len, prompts))
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = requests * (longest + new_tokens + 8)
    parameters.n_batch = BATCH
    parameters.n_ubatch = 512
    parameters.n_seq_max = requests
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.kv_unified = True
    context = llama_cpp.llama_init_from_model(model, parameters)  # not timed
    if not context:
        raise RuntimeError("llama.cpp could not make a context")
    batch = Batch(context, vocab_size)
    start = time.monotonic()
    for sequence, prompt in enumerate(prompts):
        for position, token in enumerate(prompt):
            batch.add(token, position, sequence, position == len(prompt) - 1)
    batch.decode()
    first = time.monotonic() - start
    for step in range(1, new_tokens):
        following = dict(batch.following)
        for sequence, prompt in enumerate(prompts):
            batch.add(following[sequence], len(prompt) + step - 1, sequence, True)
        batch.decode()
    seconds = time.monotonic() - start
    batch.free()
    llama_cpp.llama_free(context)
    return {"seconds": seconds, "first_token_seconds": first, "tokens": requests * new_tokens}


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()
    started = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp could not load {path}")
    vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    ready = {
        "engine": f"llama.cpp (llama-cpp-python {llama_cpp.__version__})",
        "load_seconds": time.perf_counter() - started,
        "threads": threads,
        "vocab_size": vocab_size,
    }
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(run(model, vocab_size, threads, job["prompts"], job["new_tokens"])), flush=True)


if __name__ == "__main__":
    main()
