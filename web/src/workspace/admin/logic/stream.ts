/** A stream of the server's events that is read while the page is seen, through restarts of the server. */

import { readEvents } from '../../../lib/api/sse';
import { ApiError, open } from '../../api/request';

export interface Reader<Event> {
  /** Where it is read from; asked anew for each connection. */
  path: () => string;
  onevent: (event: Event) => void;
  /** The connection is lost, or is back. */
  onbroken: (broken: boolean) => void;
  /** What trying again cannot mend; nothing is read any more. */
  onfault: (error: unknown) => void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/** Reads until the returned function is called. Nothing is read while the page is hidden. */
export function readWhileSeen<Event>(reader: Reader<Event>): () => void {
  let control: AbortController | null = null;
  const look = (): void => {
    if (document.hidden) {
      control?.abort();
      control = null;
    } else if (control === null) {
      control = new AbortController();
      void read(reader, control.signal).catch(reader.onfault);
    }
  };
  document.addEventListener('visibilitychange', look);
  look();
  return () => {
    document.removeEventListener('visibilitychange', look);
    control?.abort();
  };
}

async function read<Event>(reader: Reader<Event>, signal: AbortSignal): Promise<void> {
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const response = await open('GET', reader.path(), { signal, headers: { accept: 'text/event-stream' } });
      if (!response.body) throw new ApiError(0, '');
      for await (const { data } of readEvents(response.body)) {
        if (signal.aborted) return;
        reader.onbroken(false);
        wait = FIRST_WAIT_MS;
        reader.onevent(JSON.parse(data) as Event);
      }
    } catch (error) {
      if (signal.aborted) return;
      const final = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
      // A TypeError is how a body that broke off reads.
      if (final || !(error instanceof ApiError || error instanceof TypeError)) throw error;
    }
    if (signal.aborted) return;
    reader.onbroken(true);
    await pause(wait, signal);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
