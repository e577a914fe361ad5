/** What a server's answer says about what went wrong. */

/** The sentence in an error body: OpenAI's `{"error": {"message"}}`, vLLM's `{"error": "…"}`, FastAPI's `{"detail"}`. */
export function errorMessage(body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  const { error, message, detail } = body as Record<string, unknown>;
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null) return errorMessage(error);
  if (typeof message === 'string') return message;
  return typeof detail === 'string' ? detail : '';
}
