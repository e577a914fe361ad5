/** The data of a conversation, as it is kept. */

import type { FailureKind } from '../api/errors';
import type { EngineMetrics, PromptMessage, Usage } from '../api/types';

/** Times of one answer in seconds, and where they were measured. */
export interface Timing {
  /** From sending to the end. */
  total: number;
  firstToken: number | null;
  queue: number | null;
  tokensPerSecond: number | null;
}

export interface UserMessage {
  id: string;
  role: 'user';
  content: string;
}

export interface AnswerMessage {
  id: string;
  role: 'assistant';
  content: string;
  reasoning: string;
  /** Seconds the model thought before its answer; null while it does or where it did not. */
  reasoningTime: number | null;
  status: 'streaming' | 'done' | 'stopped' | 'failed';
  finishReason: string | null;
  failure: { kind: FailureKind; detail: string } | null;
  usage: Usage | null;
  timing: Timing | null;
  model: string;
}

export type ChatMessage = UserMessage | AnswerMessage;

export interface Conversation {
  messages: ChatMessage[];
}

/** Where conversations are kept: this browser now, the server once there are accounts. */
export interface ChatStore {
  /** The kept conversation, or null. Rejects where the store cannot be read. */
  load(): Promise<Conversation | null>;
  /** Rejects where nothing can be kept. */
  save(conversation: Conversation): Promise<void>;
}

export function newId(): string {
  // crypto.randomUUID exists on https and localhost only; a service on a private network is often plain http.
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The first words of the first message, for the sidebar and the page's title; empty for a new conversation. */
export function titleOf(messages: readonly ChatMessage[]): string {
  const first = messages.find((message) => message.role === 'user');
  const line = first?.content.trim().split('\n', 1)[0] ?? '';
  const characters = [...line];
  return characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : line;
}

/**
 * What the model is sent: the system prompt and the conversation without its reasoning. A question that got no word of
 * answer is left out with its empty answer, since many chat templates want the two sides to take turns.
 */
export function promptOf(messages: readonly ChatMessage[], systemPrompt: string): PromptMessage[] {
  const empty = (message: ChatMessage | undefined): boolean =>
    message?.role === 'assistant' && message.content.trim() === '';
  const spoken = messages
    .filter((message, index) => !empty(message) && !empty(messages[index + 1]))
    .map(({ role, content }): PromptMessage => ({ role, content }));
  return systemPrompt.trim() ? [{ role: 'system', content: systemPrompt.trim() }, ...spoken] : spoken;
}

/**
 * The times of an answer: the engine's where it gives them, else the page's own. Tokens/s follow from the engine's exact
 * count of tokens after the first, over the time after the first; without a count there is no rate.
 */
export function timingOf(
  measured: { total: number; firstToken: number | null },
  usage: Usage | null,
  metrics: EngineMetrics | null,
): Timing {
  const firstToken = metrics?.timeToFirstToken ?? measured.firstToken;
  let tokensPerSecond = metrics?.tokensPerSecond ?? null;
  if (tokensPerSecond === null && usage && measured.firstToken !== null) {
    const decoding = measured.total - measured.firstToken;
    if (usage.completionTokens > 1 && decoding > 0) tokensPerSecond = (usage.completionTokens - 1) / decoding;
  }
  return { total: measured.total, firstToken, queue: metrics?.queueTime ?? null, tokensPerSecond };
}
