import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GenerationEvent } from '../../src/workspace/api/types';
import { watch } from '../../src/workspace/state/watch';

const delta = (seq: number): string =>
  `id: ${seq}\ndata: {"seq":${seq},"type":"delta","part":0,"kind":"text","text":"${seq} "}\n\n`;
const done = (seq: number): string => `id: ${seq}\ndata: {"seq":${seq},"type":"done","message":{}}\n\n`;

/** A server whose answers to one request after another these are: text, a status, or no connection at all. */
function serve(...answers: (string | number | null)[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path);
    const answer = answers[asked.length - 1];
    if (answer === null || answer === undefined) return Promise.reject(new TypeError('Failed to fetch'));
    if (typeof answer === 'number') return Promise.resolve(new Response('{}', { status: answer }));
    return Promise.resolve(new Response(answer));
  });
  return asked;
}

async function watched(signal = new AbortController().signal): Promise<{ outcome: string; seen: number[]; broken: boolean[] }> {
  const seen: number[] = [];
  const broken: boolean[] = [];
  const outcome = watch('run', {
    signal,
    onevents: (events: GenerationEvent[]) => seen.push(...events.map((event) => event.seq)),
    onbroken: (is) => broken.push(is),
  });
  await vi.advanceTimersByTimeAsync(20_000);
  return { outcome: await outcome, seen, broken };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('removeEventListener', () => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('watch', () => {
  it('ends with the last event', async () => {
    serve(delta(1) + delta(2) + done(3));
    expect(await watched()).toEqual({ outcome: 'ended', seen: [1, 2, 3], broken: [false] });
  });

  it('comes back after what it has seen, and takes no event twice', async () => {
    const asked = serve(delta(1) + delta(2), null, 503, delta(2) + delta(3) + done(4));
    const { outcome, seen, broken } = await watched();
    expect(outcome).toBe('ended');
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(asked.map((path) => path.split('?')[1])).toEqual(['after=0', 'after=2', 'after=2', 'after=2']);
    expect(broken.at(-1)).toBe(false);
    expect(broken).toContain(true);
  });

  it('an event that was cut in the middle is asked for again', async () => {
    serve(delta(1) + delta(2).slice(0, 30), delta(2) + done(3));
    expect((await watched()).seen).toEqual([1, 2, 3]);
  });

  it('gives up on a run that the server does not know', async () => {
    const asked = serve(404);
    expect((await watched()).outcome).toBe('gone');
    expect(asked).toHaveLength(1);
  });

  it('stops when it is told to', async () => {
    const control = new AbortController();
    serve(delta(1));
    setTimeout(() => control.abort(), 1000);
    expect((await watched(control.signal)).outcome).toBe('aborted');
  });
});
