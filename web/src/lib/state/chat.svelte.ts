/** The conversation on the page: sending, streaming, stopping, and keeping it. */

import { streamChat } from '../api/client';
import { ChatFailure } from '../api/errors';
import type { ChatDelta, EngineMetrics, Usage } from '../api/types';
import {
  newId,
  promptOf,
  timingOf,
  titleOf,
  type AnswerMessage,
  type ChatMessage,
  type ChatStore,
  type UserMessage,
} from './conversation';
import { nextFrame } from './frame';
import type { Preferences } from './preferences.svelte';
import type { Server } from './server.svelte';

const SAVE_EVERY_MS = 1000;
/** Figures that change faster than this cannot be read. */
const FIGURES_EVERY_MS = 250;

export class Chat {
  messages: ChatMessage[] = $state([]);
  /** The conversation could not be kept. */
  unsaved: boolean = $state(false);
  /** What "New chat" put away, until something new is said. */
  cleared: ChatMessage[] | null = $state.raw(null);

  readonly streaming: boolean = $derived.by(() => {
    const last = this.messages.at(-1);
    return last?.role === 'assistant' && last.status === 'streaming';
  });
  readonly title: string = $derived(titleOf(this.messages));
  /** Tokens of context that the conversation fills, by the engine's last count; null before one is known. */
  readonly contextUsed: number | null = $derived.by(() => {
    for (const message of this.messages.toReversed()) {
      if (message.role === 'assistant' && message.usage) {
        return message.usage.promptTokens + message.usage.completionTokens;
      }
    }
    return null;
  });

  private controller: AbortController | null = null;
  private savedAt = 0;

  constructor(
    private readonly store: ChatStore,
    private readonly server: Server,
    private readonly preferences: Preferences,
  ) {
    addEventListener('pagehide', () => {
      if (this.streaming) void this.save();
    });
  }

  async restore(): Promise<void> {
    try {
      const kept = await this.store.load();
      if (kept && this.messages.length === 0) this.messages = kept.messages;
    } catch (error) {
      console.info('Pagoda: the kept conversation cannot be read.', error);
      this.unsaved = true;
    }
  }

  /** Sends a message and streams its answer. Does nothing with an empty message or while an answer streams. */
  async send(content: string): Promise<void> {
    if (this.streaming || content.trim() === '') return;
    this.cleared = null;
    const message: UserMessage = { id: newId(), role: 'user', content: content.trim() };
    this.messages.push(message);
    await this.answer();
  }

  /** Answers the last question anew. The answer there is goes. */
  async regenerate(): Promise<void> {
    if (this.streaming) return;
    const last = this.messages.findLastIndex((message) => message.role === 'user');
    if (last < 0) return;
    this.messages.splice(last + 1);
    await this.answer();
  }

  /** Replaces the last question and answers it. */
  async editLast(content: string): Promise<void> {
    const last = this.messages.findLastIndex((message) => message.role === 'user');
    if (this.streaming || last < 0 || content.trim() === '') return;
    this.messages.splice(last);
    await this.send(content);
  }

  stop(): void {
    this.controller?.abort();
  }

  /** Starts a new conversation. The old one comes back with `restoreCleared`. */
  clear(): void {
    this.stop();
    if (this.messages.length > 0) this.cleared = $state.snapshot(this.messages) as ChatMessage[];
    this.messages = [];
    void this.save();
  }

  restoreCleared(): void {
    if (!this.cleared) return;
    this.messages = this.cleared.map((message) =>
      message.role === 'assistant' && message.status === 'streaming' ? { ...message, status: 'stopped' } : message,
    );
    this.cleared = null;
    void this.save();
  }

  private async answer(): Promise<void> {
    const model = this.server.model?.id ?? '';
    const messages = promptOf(this.messages, this.preferences.systemPrompt);
    this.messages.push({
      id: newId(),
      role: 'assistant',
      content: '',
      reasoning: '',
      reasoningTime: null,
      status: 'streaming',
      finishReason: null,
      failure: null,
      usage: null,
      timing: null,
      model,
    });
    const answer = this.messages.at(-1) as AnswerMessage; // the reactive one
    const controller = new AbortController();
    this.controller = controller;
    const request = { model, messages, sampling: { ...this.preferences.sampling } };
    void this.save();
    try {
      await this.read(answer, streamChat(request, this.server.apiKey, controller.signal), controller.signal);
      answer.status = 'done';
    } catch (error) {
      if (controller.signal.aborted) answer.status = 'stopped';
      else this.fail(answer, error);
    }
    if (this.controller === controller) this.controller = null;
    void this.save();
  }

  private fail(answer: AnswerMessage, error: unknown): void {
    const failure = error instanceof ChatFailure ? error : new ChatFailure('interrupted', String(error));
    // Once words have arrived, why they stopped matters less than that they did.
    const cut = answer.content !== '' && (failure.kind === 'starting' || failure.kind === 'unreachable');
    answer.status = 'failed';
    answer.failure = { kind: cut ? 'interrupted' : failure.kind, detail: failure.detail };
    this.server.noteFailure(failure.kind);
  }

  /** Moves deltas into the answer, at most once a frame, and measures the times. */
  private async read(answer: AnswerMessage, deltas: AsyncIterable<ChatDelta>, signal: AbortSignal): Promise<void> {
    const started = performance.now();
    const elapsed = (): number => (performance.now() - started) / 1000;
    let firstToken: number | null = null;
    let usage: Usage | null = null;
    let metrics: EngineMetrics | null = null;
    let figuresAt = started;
    const pending = { content: '', reasoning: '' };
    const showFigures = (): void => {
      answer.usage = usage;
      answer.timing = timingOf({ total: elapsed(), firstToken }, usage, metrics);
      figuresAt = performance.now();
    };
    const flush = (): void => {
      if (pending.reasoning) answer.reasoning += pending.reasoning;
      if (pending.content) answer.content += pending.content;
      pending.content = pending.reasoning = '';
      if (usage && performance.now() - figuresAt > FIGURES_EVERY_MS) showFigures();
      if (performance.now() - this.savedAt > SAVE_EVERY_MS) void this.save();
    };
    let cancelFrame: (() => void) | null = null;
    try {
      for await (const delta of deltas) {
        if (delta.content || delta.reasoning) firstToken ??= elapsed();
        if (delta.content && answer.reasoningTime === null && (answer.reasoning || pending.reasoning)) {
          answer.reasoningTime = elapsed() - (firstToken ?? 0);
        }
        pending.content += delta.content;
        pending.reasoning += delta.reasoning;
        if (delta.finishReason) answer.finishReason = delta.finishReason;
        if (delta.usage) usage = delta.usage;
        if (delta.metrics) metrics = delta.metrics;
        cancelFrame ??= nextFrame(() => {
          cancelFrame = null;
          flush();
        });
      }
    } finally {
      cancelFrame?.();
      flush();
      // A stop on purpose ends the measurement as well; a failure before the first token measured nothing.
      if (firstToken !== null || usage || signal.aborted) showFigures();
    }
  }

  private async save(): Promise<void> {
    this.savedAt = performance.now();
    try {
      await this.store.save({ messages: $state.snapshot(this.messages) as ChatMessage[] });
      this.unsaved = false;
    } catch {
      this.unsaved = true; // the sidebar says so
    }
  }
}
