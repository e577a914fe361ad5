"""Between text and tokens: tokenizers, incremental detokenisation with stop strings, and chat templates."""
