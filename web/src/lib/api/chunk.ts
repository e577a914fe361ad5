/** Reads one `chat.completion.chunk`. Unknown fields are ignored and missing ones are null: servers differ. */

import type { ChatDelta, EngineMetrics, Usage } from './types';

type Json = Record<string, unknown>;

const object = (value: unknown): Json | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

function readUsage(value: unknown): Usage | null {
  const usage = object(value);
  const promptTokens = number(usage?.['prompt_tokens']);
  const completionTokens = number(usage?.['completion_tokens']);
  if (promptTokens === null || completionTokens === null) return null;
  const cachedTokens = number(object(usage?.['prompt_tokens_details'])?.['cached_tokens']);
  return { promptTokens, completionTokens, cachedTokens };
}

function readMetrics(value: unknown): EngineMetrics | null {
  const metrics = object(value);
  if (!metrics) return null;
  return {
    timeToFirstToken: number(metrics['time_to_first_token']),
    generationTime: number(metrics['generation_time']),
    queueTime: number(metrics['queue_time']),
    tokensPerSecond: number(metrics['tokens_per_second']),
  };
}

/** The delta in a parsed chunk. Reasoning is `reasoning` (vLLM, newer) or `reasoning_content` (DeepSeek, older vLLM). */
export function readChunk(chunk: unknown): ChatDelta {
  const root = object(chunk) ?? {};
  const choices = Array.isArray(root['choices']) ? root['choices'] : [];
  const choice = object(choices[0]);
  const delta = object(choice?.['delta']);
  return {
    content: text(delta?.['content']),
    reasoning: text(delta?.['reasoning']) || text(delta?.['reasoning_content']),
    finishReason: text(choice?.['finish_reason']) || null,
    usage: readUsage(root['usage']),
    metrics: readMetrics(root['metrics']),
  };
}
