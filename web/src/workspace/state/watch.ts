/** Follows an answer's events through broken connections, from the last one seen. */

import { readEvents } from '../../lib/api/sse';
import { ApiError, open } from '../api/request';
import type { GenerationEvent } from '../api/types';

export interface Watcher {
  /** Events in order, each once. */
  onevents: (events: GenerationEvent[]) => void;
  /** The connection is lost, or is back. */
  onbroken?: (broken: boolean) => void;
  signal: AbortSignal;
}

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;

/** Whether nothing comes after this event. */
const isLast = (event: GenerationEvent): boolean => event.type === 'done' || event.type === 'failed';

/**
 * Ends with 'ended' after the last event, with 'gone' where the server knows no such run any more (it ended long ago, or
 * with the server), and with 'aborted' by the signal. Throws ApiError for what trying again cannot mend.
 */
export async function watch(run: string, watcher: Watcher): Promise<'ended' | 'gone' | 'aborted'> {
  const { signal } = watcher;
  let last = 0;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const path = `api/generations/${encodeURIComponent(run)}/events?after=${last}`;
      const response = await open('GET', path, { signal, headers: { accept: 'text/event-stream' } });
      watcher.onbroken?.(false);
      if (!response.body) throw new ApiError(0, '');
      for await (const { data } of readEvents(response.body)) {
        const event = JSON.parse(data) as GenerationEvent;
        if (event.seq <= last) continue;
        last = event.seq;
        wait = FIRST_WAIT_MS;
        watcher.onevents([event]);
        if (isLast(event)) return 'ended';
      }
    } catch (error) {
      if (signal.aborted) return 'aborted';
      if (error instanceof ApiError) {
        if (error.status === 404) return 'gone';
        if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      } else if (!(error instanceof TypeError)) throw error; // a TypeError is how a body that broke off reads
    }
    watcher.onbroken?.(true);
    await pause(wait, signal);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
  return 'aborted';
}

/** Waits so long, or until the machine is on the network again, or the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}
