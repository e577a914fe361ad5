import { describe, expect, it } from 'vitest';
import { readEvents, SseParser, type ServerSentEvent } from '../src/lib/api/sse';

function parse(...pieces: string[]): ServerSentEvent[] {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

async function parseBytes(bytes: Uint8Array, sizes: () => number): Promise<ServerSentEvent[]> {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const next = Math.min(bytes.length, at + sizes());
      controller.enqueue(bytes.slice(at, next));
      at = next;
    },
  });
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(body)) events.push(event);
  return events;
}

/** A small repeatable source of numbers (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const STREAM = [
  '\uFEFFdata: {"choices":[{"delta":{"content":"塔 "}}]}\n\n',
  ': a comment\r\n\r\n',
  'event: note\rid: 7\rdata: first\rdata:second\r\r',
  'data\n\n',
  'data:  two spaces\r\ndata: 🏯\r\n\r\n',
  'retry: 10\nunknown: x\n\n',
  'data: [DONE]\n\n',
  'data: never ended',
].join('');

const EVENTS: ServerSentEvent[] = [
  { type: 'message', data: '{"choices":[{"delta":{"content":"塔 "}}]}', id: '' },
  { type: 'note', data: 'first\nsecond', id: '7' },
  { type: 'message', data: '', id: '7' },
  { type: 'message', data: ' two spaces\n🏯', id: '7' },
  { type: 'message', data: '[DONE]', id: '7' },
];

describe('SseParser', () => {
  it('reads a stream in one piece', () => {
    expect(parse(STREAM)).toEqual(EVENTS);
  });

  it('gives the same events wherever the text is cut in two', () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      expect(parse(STREAM.slice(0, cut), STREAM.slice(cut)), `cut at ${cut}`).toEqual(EVENTS);
    }
  });

  it('gives the same events character by character', () => {
    expect(parse(...STREAM.split(''))).toEqual(EVENTS);
  });

  it('gives an event as soon as its blank line is there', () => {
    const parser = new SseParser();
    expect(parser.push('data: a\n')).toEqual([]);
    expect(parser.push('\n')).toHaveLength(1);
  });
});

describe('readEvents', () => {
  const bytes = new TextEncoder().encode(STREAM);

  it.each([1, 2, 3, 5, 7, 64, 4096])('gives the same events from pieces of %i bytes', async (size) => {
    expect(await parseBytes(bytes, () => size)).toEqual(EVENTS);
  });

  it('gives the same events from pieces of any sizes', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const next = random(seed);
      expect(await parseBytes(bytes, () => 1 + Math.floor(next() * 24)), `seed ${seed}`).toEqual(EVENTS);
    }
  });

  it('cancels the body when its reader stops early', async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
      cancel: () => void (cancelled = true),
    });
    for await (const event of readEvents(body)) {
      expect(event.data).toBe('x');
      break;
    }
    expect(cancelled).toBe(true);
  });
});
