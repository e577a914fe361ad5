/** Questions of functions to the person at this tab, one after the other. */

import { answerCall } from '../api';
import { ApiError } from '../api/request';
import type { TabCall } from '../api/types';
import { runInFrame } from './frame-page';
import type { TabEvents } from './tab-events.svelte';

export type Question = Exclude<TabCall, { kind: 'execute' }>;

export class Calls {
  private waiting: Question[] = $state.raw([]);
  readonly current: Question | null = $derived(this.waiting[0] ?? null);

  constructor(
    events: TabEvents,
    private readonly onfault: (error: unknown) => void,
  ) {
    events.on('call', (call) => this.take(call));
    events.on('call_ended', ({ id }) => this.drop(id));
    // Questions of before a lost connection have ended with it.
    events.on('hello', () => (this.waiting = []));
    events.on('execute', ({ code }) => void runInFrame(code));
  }

  /** Answers; whatever was answered meanwhile in another tab stands. */
  answer(question: Question, value: unknown): void {
    this.drop(question.id);
    this.send(question.id, value);
  }

  private take(call: TabCall): void {
    if (call.kind === 'execute') {
      const code = typeof call.data.code === 'string' ? call.data.code : '';
      void runInFrame(code).then((value) => this.send(call.id, value));
    } else this.waiting = [...this.waiting, call];
  }

  private drop(id: string): void {
    this.waiting = this.waiting.filter((each) => each.id !== id);
  }

  private send(id: string, value: unknown): void {
    answerCall(id, value).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) this.onfault(error);
    });
  }
}
