"""The timed side of a comparison: an engine in a process of its own that does one workload at a time.

A worker reads a line of JSON, {"requests": 25, "prompts": [[...]], "new_tokens": 128}, runs it and writes
one line, {"seconds": ..., "first_token_seconds": ..., "tokens": n}. seconds run from handing over the prompts
until the last token; first_token_seconds until every request has its first token. Its first line says that it
is ready. This worker is Pagoda's; llamacpp_worker.py speaks the same language and imports nothing from here,
since it runs in another environment.
"""

from __future__ import annotations

import json
import sys
import time


def main(model: str, threads: int | None) -> None:
    from pagoda import LLM, SamplingParams

    started = time.perf_counter()
    llm = LLM(model, enable_prefix_caching=False, skip_tokenizer_init=True, num_threads=threads)
    info = llm.info
    ready = {
        "engine": "pagoda",
        "load_seconds": time.perf_counter() - started,
        "threads": info.num_threads,
        "isa": info.isa,
        "vocab_size": info.vocab_size,
    }
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        params = SamplingParams(
            temperature=0, max_tokens=job["new_tokens"], ignore_eos=True, detokenize=False
        )
        prompts = [{"prompt_token_ids": prompt} for prompt in job["prompts"]]
        start = time.monotonic()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.monotonic() - start
        firsts = [out.metrics.first_token_time for out in outputs if out.metrics is not None]
        result = {
            "seconds": seconds,
            "first_token_seconds": max(time for time in firsts if time is not None) - start,
            "tokens": sum(len(out.outputs[0].token_ids) for out in outputs),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
