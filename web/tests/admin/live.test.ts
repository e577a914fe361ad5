import { describe, expect, it } from 'vitest';
import { cacheUsed, duration, SPAN_MS, summed, taken, thinned } from '../../src/workspace/admin/logic/live';
import { appended, asText, fitting, MOST_LINES } from '../../src/workspace/admin/logic/log';
import type { LiveModel, LiveSample, LogLine } from '../../src/workspace/admin/types';

const model = (name: string, more: Partial<LiveModel> = {}): LiveModel => ({
  name,
  state: 'loaded',
  error: null,
  running: 1,
  waiting: 0,
  prompt_tokens_per_second: null,
  generation_tokens_per_second: 10,
  cache_used: 0,
  cache_tokens: 100,
  cache_hit_rate: null,
  restarts: 0,
  memory: 0,
  ...more,
});
const sample = (at: number, models: LiveModel[] = [model('a')]): LiveSample => ({
  at,
  uptime: 1,
  models,
  memory: { server: 1, engine: 1, total: 1, available: 1 },
  cpu: { server: 0, engine: 0, cores: 2 },
  users: [],
});

describe('taken', () => {
  it('adds samples, forgets the oldest, and takes none twice', () => {
    const first = taken([], { type: 'sample', ...sample(1000) });
    const second = taken(first, { type: 'sample', ...sample(2000) });
    expect(taken(second, { type: 'sample', ...sample(2000) }).map(({ at }) => at)).toEqual([1000, 2000]);
    expect(taken(second, { type: 'sample', ...sample(2000 + SPAN_MS) }).map(({ at }) => at)).toEqual([2000, 2000 + SPAN_MS]);
  });
  it('joins the history of a new connection with what is there', () => {
    const joined = taken([sample(1), sample(3)], { type: 'history', seconds: 1, samples: [sample(2), sample(3)] });
    expect(joined.map(({ at }) => at)).toEqual([1, 2, 3]);
  });
});

it('sums are of all models or of one, and unknown where nothing is known', () => {
  const both = sample(0, [model('a'), model('b', { generation_tokens_per_second: 5 })]);
  expect(summed(both, '', 'generation_tokens_per_second')).toBe(15);
  expect(summed(both, 'b', 'generation_tokens_per_second')).toBe(5);
  expect(summed(both, '', 'prompt_tokens_per_second')).toBeNull();
});

it('the cache in use is weighed by the caches’ sizes', () => {
  const both = sample(0, [model('a', { cache_used: 1 }), model('b', { cache_used: 0, cache_tokens: 300 }), model('c', { cache_tokens: null })]);
  expect(cacheUsed(both, '')).toBe(0.25);
  expect(cacheUsed(both, 'c')).toBeNull();
});

it.each([
  [0, [[0, 'seconds']]],
  [75.9, [[1, 'minutes'], [15, 'seconds']]],
  [3600, [[1, 'hours']]],
  [90_061, [[1, 'days'], [1, 'hours']]],
])('a time of %d seconds', (seconds, parts) => expect(duration(seconds)).toEqual(parts));

it('a table has the newest first and few of them', () => {
  expect(thinned([0, 1000, 2000, 3000, 4000].map((at) => sample(at)), 2000).map(({ at }) => at)).toEqual([4000, 2000, 0]);
});

describe('the log', () => {
  const line = (seq: number, level = 'INFO', text = `line ${seq}`): LogLine => ({ seq, at: 0, level, source: 'server', text });
  it('takes each line once and keeps so many', () => {
    expect(appended([line(1), line(2)], [line(2), line(3)]).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    const many = Array.from({ length: MOST_LINES }, (_, index) => line(index + 1));
    expect(appended(many, [line(MOST_LINES + 1)])[0]?.seq).toBe(2);
  });
  it('is searched by level and by all words', () => {
    const lines = [line(1, 'DEBUG'), line(2, 'ERROR', 'The model Broke'), line(3, 'CRITICAL', 'broke')];
    expect(fitting(lines, 'ERROR', '').map(({ seq }) => seq)).toEqual([2, 3]);
    expect(fitting(lines, 'DEBUG', ' broke  model').map(({ seq }) => seq)).toEqual([2]);
  });
  it('is copied as text', () => expect(asText([line(1)])).toBe('1970-01-01T00:00:00.000Z INFO server: line 1'));
});
