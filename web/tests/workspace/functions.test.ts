import { describe, expect, it } from 'vitest';
import type { Chat, FilePart, Model } from '../../src/workspace/api/types';
import type { Choices } from '../../src/workspace/state/choices.svelte';
import { Filters } from '../../src/workspace/state/filters.svelte';
import { addressOf, linkOf, wordsOf } from '../../src/workspace/state/function-parts';
import type { Models } from '../../src/workspace/state/models.svelte';
import type { Talk } from '../../src/workspace/state/talk.svelte';

describe('what functions put into answers', () => {
  it.each([
    ['https://example.org/a?b', 'https://example.org/a?b'],
    ['http://example.org', 'http://example.org/'],
    ['javascript:alert(1)', null],
    [' java\nscript:alert(1)', null],
    ['data:text/html,<b>', null],
    ['book', null],
    [7, null],
  ])('links lead to the web alone: %j', (value, link) => {
    expect(linkOf(value)).toBe(link);
  });

  const file = (values: Partial<FilePart>) => addressOf({ type: 'file', file_id: null, ...values });
  it.each([
    [{ file_id: 'a/b' }, { address: 'api/files/a%2Fb/content', own: true, picture: false }],
    [{ file_id: 'x', media_type: 'image/png' }, { address: 'api/files/x/content', own: true, picture: true }],
    [{ url: 'data:image/png;base64,AA' }, { address: 'data:image/png;base64,AA', own: true, picture: true }],
    [{ url: 'data:text/html,<script>', media_type: 'image' }, { address: 'data:text/html,<script>', own: true, picture: false }],
    [{ url: 'https://example.org/x.png', media_type: 'image' }, { address: 'https://example.org/x.png', own: false, picture: false }],
    [{ url: 'javascript:alert(1)' }, null],
    [{}, null],
  ])('files: %j', (values, address) => {
    expect(file(values)).toEqual(address);
  });

  it('a status names what it found', () => {
    const status = { type: 'status', description: '{{count}} for {{searchQuery}}', done: true, hidden: false } as const;
    expect(wordsOf({ ...status, urls: ['a', 'b'], query: '$& owls' })).toBe('2 for $& owls');
    expect(wordsOf({ ...status, count: 5 })).toBe('5 for ');
  });
});

describe('Filters', () => {
  const filter = (id: string, on: boolean) => ({ id, name: id, icon: '', default: on });
  const models = { a: { filters: [filter('x', true), filter('y', false)] }, b: { filters: [filter('y', false), filter('z', true)] } };
  function filters(chat: Partial<Chat> | null, chosen: (keyof typeof models)[]): { filters: Filters; changed: unknown[] } {
    const changed: unknown[] = [];
    const talk = { chat, change: async (values: unknown) => void changed.push(values) } as unknown as Talk;
    const all = { find: (id: keyof typeof models) => models[id] as unknown as Model } as unknown as Models;
    return { filters: new Filters(talk, all, { models: chosen } as unknown as Choices, () => undefined), changed };
  }

  it('a new chat begins with what its models have on, each once', () => {
    const { filters: found } = filters(null, ['a', 'b']);
    expect(found.all.map(({ id }) => id)).toEqual(['x', 'y', 'z']);
    expect(found.on).toEqual(['x', 'z']);
  });

  it('a chat has what was switched on in it, as far as its models offer it', () => {
    const { filters: found, changed } = filters({ filter_ids: ['y', 'z', 'gone'] }, ['a']);
    expect(found.on).toEqual(['y']);
    found.toggle('x');
    expect(changed).toEqual([{ filter_ids: ['y', 'x'] }]);
    found.toggle('y');
    expect(changed.at(-1)).toEqual({ filter_ids: [] });
  });
});
