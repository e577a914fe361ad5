/** An answer's figures. Every one is the server's; what it does not say is not shown. */

import type { Message } from '../api/types';
import type { ShownMessage } from './events';

export interface Figures {
  seconds: number | null;
  firstToken: number | null;
  queued: number | null;
  tokensIn: number | null;
  tokensOut: number | null;
  cached: number | null;
  rate: number | null;
  /** Tokens of the model's context that question and answer take. */
  context: number | null;
}

/** While it is written those so far; null for a message that has none. */
export function figuresOf(message: ShownMessage): Figures | null {
  const { live } = message;
  if (live) {
    return {
      seconds: live.seconds,
      firstToken: live.time_to_first_token,
      queued: null,
      tokensIn: live.prompt_tokens,
      tokensOut: live.completion_tokens,
      cached: live.cached_tokens,
      rate: live.tokens_per_second,
      context: sum(live.prompt_tokens, live.completion_tokens),
    };
  }
  return finalFigures(message);
}

function finalFigures({ usage, timing }: Message): Figures | null {
  if (!usage && !timing) return null;
  const tokensIn = usage?.prompt_tokens ?? null;
  const tokensOut = usage?.completion_tokens ?? null;
  return {
    seconds: timing?.seconds ?? null,
    firstToken: timing?.time_to_first_token ?? null,
    queued: timing?.queue_time ?? null,
    tokensIn,
    tokensOut,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? null,
    rate: timing?.tokens_per_second ?? null,
    context: sum(tokensIn, tokensOut),
  };
}

const sum = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);

/** A model's context as people say it: 8192 is 8K, 131072 is 128K, 1000000 is 1M. */
export function formatTokens(count: number): string {
  for (const [size, unit] of [[1024, 'K'], [1000, 'K']] as const) {
    const thousands = count / size;
    if (Number.isInteger(thousands) && thousands >= 1) {
      if (thousands >= size && Number.isInteger(thousands / size)) return `${thousands / size}M`;
      return `${thousands}${unit}`;
    }
  }
  return String(count);
}
