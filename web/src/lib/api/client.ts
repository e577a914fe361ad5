/** The calls this page makes to the server that sent it. Addresses are relative, so a path in front of them is fine. */

import { readChunk } from './chunk';
import { ChatFailure, errorMessage, failureOf, failureOfResponse } from './errors';
import { readEvents } from './sse';
import type { ChatDelta, ModelCard, PromptMessage, Sampling } from './types';

function headers(apiKey: string): HeadersInit {
  return apiKey ? { authorization: `Bearer ${apiKey}` } : {};
}

/** fetch, with the two ways it can fail told apart: stopped by the reader (passed on) and no server (ChatFailure). */
async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ChatFailure('unreachable');
  }
  if (!response.ok) throw await failureOfResponse(response);
  return response;
}

/** The models the server offers, in its order. Throws ChatFailure. */
export async function listModels(apiKey: string): Promise<ModelCard[]> {
  const response = await request('v1/models', { headers: headers(apiKey), cache: 'no-store' });
  const body = (await response.json()) as { data?: { id?: unknown; max_model_len?: unknown }[] };
  return (body.data ?? []).map((card) => ({
    id: String(card.id),
    contextLength: typeof card.max_model_len === 'number' ? card.max_model_len : null,
  }));
}

export interface ChatRequest {
  model: string;
  messages: PromptMessage[];
  sampling: Sampling;
}

/** The body of a request. What the reader did not set is left out, so that the model's own defaults hold. */
export function requestBody({ model, messages, sampling }: ChatRequest): Record<string, unknown> {
  return {
    model,
    messages,
    stream: true,
    // A count with every piece: exact figures while an answer arrives, and of one that was stopped.
    stream_options: { include_usage: true, continuous_usage_stats: true },
    ...(sampling.temperature !== null && { temperature: sampling.temperature }),
    ...(sampling.topP !== null && { top_p: sampling.topP }),
    ...(sampling.maxTokens !== null && { max_tokens: sampling.maxTokens }),
  };
}

/**
 * Streams an answer. Ends at `[DONE]`; throws ChatFailure for every failure, also one inside the stream or a stream that
 * ends before it is done; throws the abort error when `signal` was used.
 */
export async function* streamChat(
  chat: ChatRequest,
  apiKey: string,
  signal: AbortSignal,
): AsyncGenerator<ChatDelta> {
  const response = await request('v1/chat/completions', {
    method: 'POST',
    headers: { ...headers(apiKey), 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(requestBody(chat)),
    signal,
  });
  if (!response.body) throw new ChatFailure('interrupted');
  try {
    for await (const event of readEvents(response.body)) {
      if (event.data === '[DONE]') return;
      const chunk: unknown = JSON.parse(event.data);
      if (typeof chunk === 'object' && chunk !== null && 'error' in chunk && chunk.error) {
        const { code } = chunk.error as { code?: unknown };
        throw failureOf(typeof code === 'number' ? code : 500, errorMessage(chunk));
      }
      yield readChunk(chunk);
    }
  } catch (error) {
    if (signal.aborted || error instanceof ChatFailure) throw error;
    throw new ChatFailure('interrupted', error instanceof SyntaxError ? error.message : '');
  }
  throw new ChatFailure('interrupted');
}
