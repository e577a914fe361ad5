/** One call to the server. Addresses are relative to the page, so a path in front of them is fine. */

import { errorMessage } from '../../lib/api/errors';

/** A call that did not succeed. status 0: no answer at all. message: the server's sentence, where it gave one. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The field at fault. */
    readonly param: string | null = null,
    /** Names the sentence, where the server says which it is; with what stands in it. */
    readonly code: string | null = null,
    readonly values: Record<string, string | number> = {},
    /** The server's word for the kind of error. */
    readonly kind: string | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The error of a response that is no success, from its status and its body. */
export function errorOf(status: number, body: string): ApiError {
  try {
    const parsed = JSON.parse(body) as { error?: Partial<Record<'param' | 'code' | 'type' | 'values', unknown>> | null } | null;
    const { param, code, type, values } = parsed?.error ?? {};
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    return new ApiError(status, errorMessage(parsed), text(param), text(code), valuesOf(values), text(type));
  } catch {
    // A proxy's HTML page says nothing useful to a reader; a short plain line does.
    return new ApiError(status, body.length < 200 && !body.includes('<') ? body.trim() : '');
  }
}

function valuesOf(given: unknown): Record<string, string | number> {
  const entries = typeof given === 'object' && given !== null ? Object.entries(given) : [];
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string' || typeof value === 'number'));
}

/** fetch that throws ApiError for everything but a success, save for an abort, which is passed on. */
export async function open(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { method, cache: 'no-store', credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, '');
  }
  if (response.ok) return response;
  throw errorOf(response.status, await response.text().catch(() => ''));
}

/** Asks and gives the JSON of the answer. Throws ApiError, save for an abort, which is passed on. */
export async function call<Result>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Result> {
  const init: RequestInit = signal ? { signal } : {};
  if (method !== 'GET' && body === undefined) init.keepalive = true; // done also where the page goes meanwhile
  if (body !== undefined) Object.assign(init, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  const response = await open(method, path, init);
  try {
    return (await response.json()) as Result;
  } catch {
    throw new ApiError(response.status, '');
  }
}
