/** One reducer for an answer that arrives, whether watched from its beginning or come back to. */

import type { GenerationEvent, Live, Message, Part, PlacedMessage } from '../api/types';

/** A message, and while it is written the engine's figures so far. */
export type ShownMessage = PlacedMessage & { live?: Live | undefined };

/**
 * The message after an event. An event for a part that is not there yet makes it; what is not understood changes nothing.
 * `start` begins anew: a log that is read again from its first event rebuilds the message exactly.
 */
export function reduce(message: ShownMessage, event: GenerationEvent): ShownMessage {
  switch (event.type) {
    case 'start':
      return { ...message, ...inPlace(message, event.message), live: undefined };
    case 'delta': {
      const part = message.parts[event.part];
      const before = part && 'text' in part && part.type === event.kind ? part : { type: event.kind, text: '' };
      return { ...message, parts: withPart(message.parts, event.part, { ...before, text: before.text + event.text }) };
    }
    case 'part':
      return { ...message, parts: withPart(message.parts, event.part, event.value) };
    case 'replace':
      return { ...message, parts: event.parts };
    case 'live':
      return { ...message, live: event };
    case 'done':
    case 'failed':
      return { ...message, ...inPlace(message, event.message), generation: null, live: undefined };
    default:
      return message;
  }
}

/** A message that came with an event, in its place in the tree, which the server does not know of a temporary chat's. */
function inPlace({ chat_id, parent_id, created_at, follow_ups }: ShownMessage, told: Message): Message {
  // Questions that come next are told by another way, and may be here before the end of the answer is.
  const next = told.follow_ups?.length ? told.follow_ups : (follow_ups ?? []);
  return { ...told, chat_id, parent_id, created_at, follow_ups: next };
}

function withPart(parts: readonly Part[], index: number, part: Part): Part[] {
  const copy = [...parts];
  while (copy.length < index) copy.push({ type: 'text', text: '' });
  copy[index] = part;
  return copy;
}

/** The answer's words as they were written; reasoning and tools are not among them. */
export function textOf(message: { parts: readonly Part[] }): string {
  return message.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
}

/** It is being written now. */
export const isRunning = (message: ShownMessage): boolean =>
  message.generation !== null && (message.status === 'streaming' || message.status === 'waiting');
