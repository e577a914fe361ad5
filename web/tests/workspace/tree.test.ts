import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/workspace/api/types';
import type { ShownMessage } from '../../src/workspace/state/events';
import { begun, besideOf, columnsOf, joined, upTo } from '../../src/workspace/state/tree';

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

describe('upTo', () => {
  it('ends with the parent', () => expect(ids(upTo(branch, 'a1'))).toEqual(['q1', 'a1']));
  it('is empty for no parent and for one that is not there', () => {
    expect(upTo(branch, null)).toEqual([]);
    expect(upTo(branch, 'elsewhere')).toEqual([]);
  });
});

describe('answers side by side', () => {
  const beside = (id: string, column: number, at: number, group = 'g'): ShownMessage =>
    message(id, 'q', { role: 'assistant', group: { id: group, column }, created_at: at });
  const [a, b, again] = [beside('a', 0, 5), beside('b', 1, 5), beside('b2', 1, 900_000)];
  const other = beside('x', 0, 5, 'other');
  const alone = { ...beside('y', 0, 5), group: null };

  it('belong together by their group, whenever they were made', () => {
    expect(besideOf(a, [a, b, other, again, alone])).toEqual([a, b, again]);
    expect(besideOf(alone, [a, b, alone])).toEqual([]);
  });

  it('stand in columns, with the versions of each in order', () => {
    expect(columnsOf([again, b, a])).toEqual([[a], [b, again]]);
  });

  it('are joined by a version, and left by an answer that is asked for alone', () => {
    expect(joined([], [a, b])).toEqual([a, b]);
    expect(joined([a, b], [again])).toEqual([a, b, again]);
    expect(joined([a, b], [other, beside('x2', 1, 6, 'other')]).map(({ id }) => id)).toEqual(['x', 'x2']);
    expect(joined([a, b], [alone])).toEqual([]);
    expect(joined([], [a])).toEqual([]);
  });
});
