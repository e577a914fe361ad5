import { describe, expect, it } from 'vitest';
import { errorOf } from '../../src/workspace/api/request';
import type { ChatSummary } from '../../src/workspace/api/types';
import { addressOf, invitationOf, parseRoute } from '../../src/workspace/routing/router';
import { browserName } from '../../src/workspace/state/browser-name';
import { sentenceOf } from '../../src/workspace/state/faults';
import { grouped } from '../../src/workspace/state/grouping';

const chat = (id: string, updated_at: number): ChatSummary => ({
  id, title: id, folder_id: null, pinned: false, archived: false, tags: [], running: false, created_at: 0, updated_at,
});
const at = (day: number, hour: number): number => new Date(2026, 10, day, hour, 30).getTime();

describe('grouped', () => {
  const now = at(21, 9);

  it('puts each chat into the reader’s own days, the newest first', () => {
    const chats = [chat('old', new Date(2026, 9, 21).getTime()), chat('dawn', at(21, 0)), chat('late', at(20, 23)), chat('week', at(14, 0)), chat('month', at(13, 23)), chat('now', now)];
    expect(grouped(chats, now).map(({ name, chats: found }) => [name, found.map((each) => each.id)])).toEqual([
      ['today', ['now', 'dawn']],
      ['yesterday', ['late']],
      ['week', ['week']],
      ['month', ['month']],
      ['earlier', ['old']],
    ]);
  });

  it('leaves out groups that hold nothing', () => expect(grouped([], now)).toEqual([]));
});

describe('addresses', () => {
  it.each(['', '?', '?chat=', '?chat=../x', `?chat=${'a'.repeat(65)}`, '?other=1'])('%j is a new chat', (search) => {
    expect(parseRoute(search)).toEqual({ name: 'chat', id: null });
  });

  it.each(['BXJ7BxwVdpTX3G_stKpR9Q', 'a-b'])('the address of chat %s leads to it', (id) => {
    expect(parseRoute(addressOf({ name: 'chat', id }, '/pagoda/'))).toEqual({ name: 'chat', id });
  });

  it.each([
    { name: 'chat', id: 'abc', message: 'm-1' },
    { name: 'chat', id: null, folder: 'f_1' },
    { name: 'shared', share: 's-1', id: null },
  ] as const)('%j is found again by its address', (route) => {
    expect(parseRoute(addressOf(route, '/pagoda/'))).toEqual(route);
  });

  it('a new chat is the page itself, below any path', () => {
    expect(addressOf({ name: 'chat', id: null }, '/tools/pagoda/')).toBe('/tools/pagoda/');
  });

  it('an invitation is read from its link', () => {
    expect(invitationOf('?invitation=abc')).toBe('abc');
    expect(invitationOf('?chat=abc')).toBeNull();
  });
});

describe('what went wrong', () => {
  const t = (key: string): string => key;
  const body = (message: string, param: string | null = null): string => JSON.stringify({ error: { message, param } });

  it.each([
    [errorOf(401, body('Sign in first.')), 'fault.signedOut'],
    [errorOf(409, body('…', 'email')), 'fault.taken'],
    [errorOf(400, body('…', 'password')), 'fault.password'],
    [errorOf(400, body('Choose 1 to 8 models.', 'models')), 'Choose 1 to 8 models.'],
    [errorOf(502, '<html>Bad gateway</html>'), 'fault.starting'],
    [errorOf(500, ''), 'fault.server'],
    [errorOf(413, '<html>Too large</html>'), 'fault.tooLarge'],
    [errorOf(400, 'plain words'), 'plain words'],
  ])('%s', (error, sentence) => expect(sentenceOf(error, t as never)).toBe(sentence));

  it('a mistake of the page itself is not hidden', () => {
    expect(() => sentenceOf(new TypeError('no'), t as never)).toThrow(TypeError);
  });
});

describe('browserName', () => {
  it.each([
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0', 'Edge, Windows'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0', 'Firefox, Linux'],
    ['python-httpx/0.28', 'python-httpx'],
    ['', '–'],
  ])('%s', (agent, name) => expect(browserName(agent)).toBe(name));
});
