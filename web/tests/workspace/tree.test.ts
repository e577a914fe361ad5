import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/workspace/api/types';
import type { ShownMessage } from '../../src/workspace/state/events';
import { askedTogether, begun, neighbour, upTo, versionOf } from '../../src/workspace/state/tree';

const message = (id: string, parent: string | null, more: Partial<ShownMessage> = {}): ShownMessage => ({
  id, parent_id: parent, chat_id: 'c', role: 'user', model: null, status: 'done', parts: [], usage: null,
  timing: null, error: null, rating: null, created_at: 0, siblings: [id], generation: null, ...more,
});
const bare = (id: string, parent: string | null): Message => message(id, parent);
const branch = [message('q1', null), message('a1', 'q1'), message('q2', 'a1'), message('a2', 'q2')];
const ids = (messages: ShownMessage[]): string[] => messages.map((each) => each.id);

describe('begun', () => {
  it('appends a question and its answer', () => {
    const run = { id: 'r', message: bare('a3', 'q3'), model: 'm' };
    const { branch: after, answers } = begun(branch, { question: bare('q3', 'a2'), generations: [run] });
    expect(ids(after)).toEqual(['q1', 'a1', 'q2', 'a2', 'q3', 'a3']);
    expect(after.at(-2)?.siblings).toEqual(['q3']);
    expect(answers[0]?.generation).toBe('r');
  });

  it('an edited question takes the place of the old one, as its newest version', () => {
    const run = { id: 'r', message: bare('a9', 'q9'), model: 'm' };
    const { branch: after } = begun(branch, { question: bare('q9', 'a1'), generations: [run] });
    expect(ids(after)).toEqual(['q1', 'a1', 'q9', 'a9']);
    expect(after[2]?.siblings).toEqual(['q2', 'q9']);
  });

  it('so does the very first question', () => {
    const run = { id: 'r', message: bare('a9', 'q9'), model: 'm' };
    const { branch: after } = begun(branch, { question: bare('q9', null), generations: [run] });
    expect(ids(after)).toEqual(['q9', 'a9']);
    expect(after[0]?.siblings).toEqual(['q1', 'q9']);
  });

  it('another answer to a question is the newest version of the answer', () => {
    const run = { id: 'r', message: bare('a8', 'q1'), model: 'm' };
    const { branch: after } = begun(branch, { question: null, generations: [run] });
    expect(ids(after)).toEqual(['q1', 'a8']);
    expect(after[1]?.siblings).toEqual(['a1', 'a8']);
  });

  it('several answers know each other; the first is in the branch', () => {
    const runs = ['x', 'y'].map((id) => ({ id: `r${id}`, message: bare(id, 'q3'), model: id }));
    const { branch: after, answers } = begun(branch, { question: bare('q3', 'a2'), generations: runs });
    expect(after.at(-1)?.id).toBe('x');
    expect(answers.map((each) => each.siblings)).toEqual([['x', 'y'], ['x', 'y']]);
  });
});

describe('versions', () => {
  const middle = message('b', null, { siblings: ['a', 'b', 'c'] });

  it('are counted from one', () => expect(versionOf(middle)).toEqual({ at: 2, of: 3 }));

  it('have neighbours, save at the ends', () => {
    expect([neighbour(middle, -1), neighbour(middle, 1)]).toEqual(['a', 'c']);
    expect(neighbour({ ...middle, id: 'c' }, 1)).toBeNull();
    expect(neighbour({ ...middle, id: 'gone' }, 1)).toBeNull();
  });
});

describe('upTo', () => {
  it('ends with the parent', () => expect(ids(upTo(branch, 'a1'))).toEqual(['q1', 'a1']));
  it('is empty for no parent and for one that is not there', () => {
    expect(upTo(branch, null)).toEqual([]);
    expect(upTo(branch, 'elsewhere')).toEqual([]);
  });
});

describe('askedTogether', () => {
  const answer = (id: string, model: string, created_at: number): ShownMessage => message(id, 'q', { model, created_at });

  it('are answers of different models from one moment', () => {
    const [one, two] = [answer('1', 'm', 5000), answer('2', 'n', 5003)];
    expect(ids(askedTogether(one, [one, two]))).toEqual(['1', '2']);
  });

  it('a later answer of another model stands alone', () => {
    const [one, later] = [answer('1', 'm', 5000), answer('2', 'n', 90_000)];
    expect(askedTogether(later, [one, later])).toEqual([]);
  });

  it('two answers of one model are versions', () => {
    const [one, two] = [answer('1', 'm', 5000), answer('2', 'm', 5100)];
    expect(askedTogether(one, [one, two])).toEqual([]);
  });
});
