/** One stream of what the server tells this tab outside of answers, for as long as somebody is signed in. */

import { readEvents } from '../../lib/api/sse';
import { ApiError, open } from '../api/request';
import type { TabEvent } from '../api/types';
import { pause } from './watch';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A browser opens six connections to one address: tabs that nobody looks at let go of theirs after this time. */
export const HIDDEN_MS = 60_000;

type Handler<Type> = (event: Extract<TabEvent, { type: Type }>) => void;
type AnyHandler = (event: never) => void;

export interface TabEventsContext {
  /** The server says that nobody is signed in. */
  onended: () => void;
  /** An answer is being written here: its functions may ask something even while the tab is hidden. */
  busy: () => boolean;
}

export class TabEvents {
  /** The stream is open. */
  connected: boolean = $state(false);
  private readonly handlers = new Map<string, Set<AnyHandler>>();

  constructor(private readonly context: TabEventsContext) {}

  /** Calls back with every event of a type. Gives a way to end it. */
  on<Type extends TabEvent['type']>(type: Type, handler: Handler<Type>): () => void {
    const known = this.handlers.get(type) ?? new Set();
    this.handlers.set(type, known);
    known.add(handler);
    return () => known.delete(handler);
  }

  /** Listens to the server, through broken connections. Gives a way to end it. */
  connect(): () => void {
    let control: AbortController | null = null;
    let letGo: ReturnType<typeof setTimeout> | undefined;
    const begin = (): void => {
      if (control) return;
      control = new AbortController();
      void this.listen(control.signal);
    };
    const end = (): void => {
      control?.abort();
      control = null;
    };
    const hidden = (): void => {
      if (this.context.busy()) letGo = setTimeout(hidden, HIDDEN_MS);
      else end();
    };
    const looked = (): void => {
      clearTimeout(letGo);
      if (document.hidden) letGo = setTimeout(hidden, HIDDEN_MS);
      else begin();
    };
    document.addEventListener('visibilitychange', looked);
    begin();
    looked();
    return () => {
      document.removeEventListener('visibilitychange', looked);
      clearTimeout(letGo);
      end();
    };
  }

  private async listen(signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        const response = await open('GET', 'api/events', { signal, headers: { accept: 'text/event-stream' } });
        if (!response.body) throw new ApiError(0, '');
        for await (const { data } of readEvents(response.body)) {
          wait = FIRST_WAIT_MS;
          this.connected = true;
          this.tell(JSON.parse(data) as TabEvent);
        }
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof ApiError) {
          if (error.status === 401) return this.context.onended();
        } else if (!(error instanceof TypeError)) throw error; // a TypeError is how a body that broke off reads
      } finally {
        this.connected = false;
      }
      await pause(wait, signal);
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    }
  }

  private tell(event: TabEvent): void {
    for (const handler of this.handlers.get(event.type) ?? []) handler(event as never);
  }
}
