import { describe, expect, it } from 'vitest';
import type { GenerationEvent, Message } from '../../src/workspace/api/types';
import { isRunning, reduce, textOf, type ShownMessage } from '../../src/workspace/state/events';
import { figuresOf, formatTokens } from '../../src/workspace/state/figures';

const stored: Message = {
  id: 'a', chat_id: 'c', parent_id: 'q', role: 'assistant', model: 'm', status: 'streaming', parts: [],
  usage: null, timing: null, error: null, rating: null, created_at: 0,
};
const fresh: ShownMessage = { ...stored, siblings: ['a', 'b'], generation: 'run' };
const log: GenerationEvent[] = [
  { seq: 1, type: 'start', message: stored },
  { seq: 2, type: 'delta', part: 0, kind: 'reasoning', text: 'Let me ' },
  { seq: 3, type: 'delta', part: 0, kind: 'reasoning', text: 'think.' },
  { seq: 4, type: 'part', part: 0, value: { type: 'reasoning', text: 'Let me think.', seconds: 2 } },
  { seq: 5, type: 'delta', part: 1, kind: 'text', text: 'Four' },
  {
    seq: 6, type: 'live', seconds: 3, time_to_first_token: 1, prompt_tokens: 10, completion_tokens: 5,
    cached_tokens: 4, tokens_per_second: 2,
  },
  { seq: 7, type: 'delta', part: 1, kind: 'text', text: '.' },
];
const play = (events: GenerationEvent[], from: ShownMessage = fresh): ShownMessage => events.reduce(reduce, from);

describe('reduce', () => {
  it('builds the parts that the server has', () => {
    expect(play(log).parts).toEqual([
      { type: 'reasoning', text: 'Let me think.', seconds: 2 },
      { type: 'text', text: 'Four.' },
    ]);
  });

  it('a log read again from its beginning builds the same message, whatever was there', () => {
    const partly = play(log.slice(0, 5), { ...fresh, parts: [{ type: 'text', text: 'from the database' }] });
    expect(play(log, partly)).toEqual(play(log));
  });

  it('keeps its place among its siblings', () => {
    const done = play([...log, { seq: 8, type: 'done', message: { ...stored, status: 'done' } }]);
    expect(done.siblings).toEqual(['a', 'b']);
    expect(done.generation).toBeNull();
    expect(done.live).toBeUndefined();
    expect(isRunning(done)).toBe(false);
  });

  it('a failure keeps what it says', () => {
    const error = { message: 'The engine is gone.', kind: 'failed' };
    const failed = play([{ seq: 1, type: 'failed', error, message: { ...stored, status: 'failed', error } }]);
    expect(failed.error).toEqual(error);
  });

  it('changes no message that it was given', () => {
    const before = structuredClone(fresh);
    play(log);
    expect(fresh).toEqual(before);
  });

  it('passes over events of kinds it does not know', () => {
    const unknown = { seq: 9, type: 'weather' } as unknown as GenerationEvent;
    expect(reduce(fresh, unknown)).toBe(fresh);
  });

  it('replaces all parts at once', () => {
    expect(textOf(play([...log, { seq: 8, type: 'replace', parts: [{ type: 'text', text: 'Other.' }] }]))).toBe('Other.');
  });
});

describe('figures', () => {
  it('are the engine’s own while it writes', () => {
    expect(figuresOf(play(log))).toMatchObject({ tokensOut: 5, tokensIn: 10, cached: 4, context: 15, rate: 2 });
  });

  it('are null where the server says nothing', () => {
    expect(figuresOf(fresh)).toBeNull();
    expect(figuresOf({ ...fresh, timing: { seconds: 1 } })).toMatchObject({ tokensOut: null, context: null, rate: null });
  });

  it.each([[8192, '8K'], [131_072, '128K'], [1_048_576, '1M'], [1_000_000, '1M'], [200_000, '200K'], [777, '777']])(
    '%d tokens are called %s',
    (count, name) => expect(formatTokens(count)).toBe(name),
  );
});
