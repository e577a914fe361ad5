import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TabEvent } from '../../src/workspace/api/types';
import { Notices } from '../../src/workspace/state/notices.svelte';
import { HIDDEN_MS, TabEvents } from '../../src/workspace/state/tab-events.svelte';

const HELLO = 'data: {"type":"hello"}\n\n';
const changed = 'data: {"type":"chats_changed"}\n\n';

/** A server whose streams these are: text that ends there, text that goes on for ever, a status, or no connection. */
function serve(...streams: (string | { endless: string } | number | null)[]): { asked: number; open: number } {
  const seen = { asked: 0, open: 0 };
  vi.stubGlobal('fetch', (_: string, { signal }: { signal: AbortSignal }) => {
    const stream = streams[seen.asked++];
    if (stream === null || stream === undefined) return Promise.reject(new TypeError('Failed to fetch'));
    if (typeof stream === 'number') return Promise.resolve(new Response('{}', { status: stream }));
    if (typeof stream === 'string') return Promise.resolve(new Response(stream));
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        seen.open++;
        controller.enqueue(new TextEncoder().encode(stream.endless));
        signal.addEventListener('abort', () => {
          seen.open--;
          controller.error(signal.reason);
        });
      },
    });
    return Promise.resolve(new Response(body));
  });
  return seen;
}

let shown: () => void;
let page: { hidden: boolean };

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('removeEventListener', () => undefined);
  page = { hidden: false };
  vi.stubGlobal('document', {
    get hidden() {
      return page.hidden;
    },
    addEventListener: (_: string, handler: () => void) => (shown = handler),
    removeEventListener: () => undefined,
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function listening(busy = false): { events: TabEvents; heard: TabEvent[]; ended: () => number } {
  let ends = 0;
  const events = new TabEvents({ onended: () => (ends += 1), busy: () => busy });
  const heard: TabEvent[] = [];
  for (const type of ['hello', 'chats_changed'] as const) events.on(type, (event) => heard.push(event));
  return { events, heard, ended: () => ends };
}

describe('TabEvents', () => {
  it('comes back after a lost connection, and tells so with another hello', async () => {
    serve(HELLO + changed, null, 503, { endless: HELLO + changed });
    const { events, heard } = listening();
    const end = events.connect();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(heard.map((event) => event.type)).toEqual(['hello', 'chats_changed', 'hello', 'chats_changed']);
    end();
  });

  it('a handler that was taken away hears nothing more', async () => {
    serve({ endless: HELLO });
    const { events } = listening();
    const heard: TabEvent[] = [];
    events.on('hello', (event) => heard.push(event))();
    const end = events.connect();
    await vi.advanceTimersByTimeAsync(100);
    expect(heard).toEqual([]);
    end();
  });

  it('ends when nobody is signed in, and closes the stream when told to', async () => {
    const seen = serve({ endless: HELLO }, 401);
    const first = listening();
    const end = first.events.connect();
    await vi.advanceTimersByTimeAsync(100);
    expect(seen.open).toBe(1);
    end();
    await vi.advanceTimersByTimeAsync(100_000);
    expect([seen.open, seen.asked]).toEqual([0, 1]);
    const second = listening();
    second.events.connect();
    await vi.advanceTimersByTimeAsync(100_000);
    expect([second.ended(), seen.asked]).toEqual([1, 2]);
  });

  it('a tab that nobody looks at lets go, and comes back when it is looked at', async () => {
    const seen = serve({ endless: HELLO }, { endless: HELLO });
    const { events, heard } = listening();
    const end = events.connect();
    await vi.advanceTimersByTimeAsync(100);
    page.hidden = true;
    shown();
    await vi.advanceTimersByTimeAsync(HIDDEN_MS - 1);
    expect(seen.open).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.open).toBe(0);
    page.hidden = false;
    shown();
    await vi.advanceTimersByTimeAsync(100);
    expect([seen.open, heard.length]).toEqual([1, 2]);
    end();
  });

  it('a hidden tab with a running answer stays', async () => {
    const seen = serve({ endless: HELLO });
    const { events } = listening(true);
    const end = events.connect();
    page.hidden = true;
    shown();
    await vi.advanceTimersByTimeAsync(5 * HIDDEN_MS);
    expect(seen.open).toBe(1);
    end();
  });
});

describe('Notices', () => {
  it('good news goes by itself, bad news stays until it is put away', async () => {
    const notices = new Notices();
    notices.add('success', 'Saved');
    notices.add('error', 'Broken');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notices.shown.map((each) => each.text)).toEqual(['Broken']);
    notices.dismiss(notices.shown[0]?.id ?? 0);
    expect(notices.shown).toEqual([]);
  });

  it('waits while the reader is at it', async () => {
    const notices = new Notices();
    notices.add('info', 'Read me');
    notices.hold();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notices.shown).toHaveLength(1);
    notices.release();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notices.shown).toHaveLength(0);
  });

  it('the same again counts up, an empty one is none, and there are never many', () => {
    const notices = new Notices();
    notices.add('info', ' ');
    for (let index = 0; index < 3; index++) notices.add('warning', 'Again');
    expect(notices.shown.map((each) => each.times)).toEqual([3]);
    for (let index = 0; index < 20; index++) notices.add('error', `Number ${index}`);
    expect(notices.shown.map((each) => each.text)).toEqual([15, 16, 17, 18, 19].map((index) => `Number ${index}`));
  });
});
