import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Completion, joined } from '../../src/workspace/state/completion.svelte';

describe('joined', () => {
  it.each([
    ['Tell me', 'more about it', ' more about it'],
    ['Tell me ', 'more', 'more'],
    ['Tell me', 'Tell me more', ' more'],
    ['Tell me', ', please', ', please'],
    ['请告诉我', '更多', '更多'],
    ['Tell me', '  ', ''],
    ['Tell me', 'Tell me', ''],
  ])('%j and %j', (text, words, expected) => {
    expect(joined(text, words)).toBe(expected);
  });
});

describe('a completion', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is asked for once the writer pauses, and only for the last draft', async () => {
    const asked: string[] = [];
    const completion = new Completion((text) => {
      asked.push(text);
      return Promise.resolve('more');
    });
    for (const text of ['Tell me a', 'Tell me al', 'Tell me all']) completion.consider(text, 'm', null);
    await vi.runAllTimersAsync();
    expect(asked).toEqual(['Tell me all']);
    expect(completion.words).toBe(' more');
    completion.forget();
    expect(completion.words).toBe('');
  });

  it('that comes too late is not shown, and its call is ended', async () => {
    let answer: (words: string) => void = () => {};
    let given: AbortSignal | undefined;
    const completion = new Completion((_text, _model, _chat, signal) => {
      given = signal;
      return new Promise((resolve) => (answer = resolve));
    });
    completion.consider('Tell me about', 'm', null);
    await vi.runAllTimersAsync();
    completion.forget();
    expect(given?.aborted).toBe(true);
    answer('late');
    await vi.runAllTimersAsync();
    expect(completion.words).toBe('');
  });

  it.each(['short', 'x'.repeat(5000)])('is not asked for a draft of an odd length', async (text) => {
    const ask = vi.fn(() => Promise.resolve('x'));
    new Completion(ask).consider(text, 'm', null);
    await vi.runAllTimersAsync();
    expect(ask).not.toHaveBeenCalled();
  });
});
