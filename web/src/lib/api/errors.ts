/** What can go wrong between the page and the server, in the kinds that a reader can act on differently. */

export type FailureKind =
  | 'unreachable' // no answer at all: the server is down or the network is
  | 'starting' // 503: the engine loads or restarts
  | 'unauthorized' // 401: an API key is needed, or the one given is wrong
  | 'context' // the conversation no longer fits the model's context
  | 'rejected' // another 4xx: the server says why
  | 'busy' // 429
  | 'interrupted' // the stream broke off before its end
  | 'server'; // a 5xx, or an error inside the stream

/** An error to show: its kind, and the server's own sentence where it gave one. */
export class ChatFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    /** The server's own words; empty where it gave none. */
    readonly detail: string = '',
  ) {
    super(detail || kind);
    this.name = 'ChatFailure';
  }
}

/** The sentence in an error body: OpenAI's `{"error": {"message"}}`, vLLM's `{"error": "…"}`, FastAPI's `{"detail"}`. */
export function errorMessage(body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  const { error, message, detail } = body as Record<string, unknown>;
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null) return errorMessage(error);
  if (typeof message === 'string') return message;
  return typeof detail === 'string' ? detail : '';
}

/** The failure that an HTTP status and its body stand for. */
export function failureOf(status: number, detail: string): ChatFailure {
  if (status === 401 || status === 403) return new ChatFailure('unauthorized', detail);
  if (status === 503 || status === 502 || status === 504) return new ChatFailure('starting', detail);
  if (status === 429) return new ChatFailure('busy', detail);
  if (status === 400 && /context (length|window)|max_model_len/i.test(detail)) return new ChatFailure('context', detail);
  return new ChatFailure(status >= 500 ? 'server' : 'rejected', detail);
}

/** The failure of a response that is not a success; reads its body. */
export async function failureOfResponse(response: Response): Promise<ChatFailure> {
  const text = await response.text();
  let detail = '';
  try {
    detail = errorMessage(JSON.parse(text));
  } catch {
    // Not JSON: a proxy's HTML page says nothing useful to a reader, a short plain line does.
    if (text.length < 200 && !text.includes('<')) detail = text.trim();
  }
  return failureOf(response.status, detail);
}
