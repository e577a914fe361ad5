import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ImportJob } from '../../src/workspace/api/importing';
import { ApiError } from '../../src/workspace/api/request';
import type { ChatSummary, Folder, Hit } from '../../src/workspace/api/types';
import { ChatPages } from '../../src/workspace/state/chat-pages.svelte';
import { dayOf, piecesOf } from '../../src/workspace/state/excerpt';
import { Folders, treeOf } from '../../src/workspace/state/folders.svelte';
import { Importing } from '../../src/workspace/state/importing.svelte';
import { Search } from '../../src/workspace/state/search.svelte';

const chat = (id: string, updated_at: number, more: Partial<ChatSummary> = {}): ChatSummary => ({
  id, title: id, folder_id: null, pinned: false, archived: false, tags: [], running: false, created_at: 0, updated_at, ...more,
});
const folder = (id: string, parent_id: string | null = null, name = id): Folder => ({ id, parent_id, name, chats: 0 });

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('excerpts', () => {
  it('are cut at their marks', () => {
    expect(piecesOf('a \u0001hit\u0002 and \u0001more\u0002')).toEqual([
      { text: 'a ', hit: false }, { text: 'hit', hit: true }, { text: ' and ', hit: false }, { text: 'more', hit: true },
    ]);
  });

  it.each([['plain'], ['half \u0001a hit'], ['end \u0002 alone']])('%j with broken marks keeps its words and marks nothing', (text) => {
    const pieces = piecesOf(text);
    expect(pieces.some((piece) => piece.hit)).toBe(false);
    expect(pieces.map((piece) => piece.text).join('')).toBe(text.replace(/[\u0001\u0002]/g, ''));
  });

  it('what looks like HTML stays text', () => {
    expect(piecesOf('\u0001<b>\u0002x')).toEqual([{ text: '<b>', hit: true }, { text: 'x', hit: false }]);
  });

  it('are dated by the hour today, else by the day', () => {
    const now = new Date(2026, 10, 21, 15, 0).getTime();
    expect(dayOf(new Date(2026, 10, 21, 9, 5).getTime(), now, 'zh-CN')).toBe('9:05');
    expect(dayOf(new Date(2026, 4, 2).getTime(), now, 'en')).toBe('May 2');
    expect(dayOf(new Date(2024, 4, 2).getTime(), now, 'en')).toBe('May 2, 2024');
  });
});

describe('a search that follows what is typed', () => {
  const hit = (title: string): Hit => ({ chat_id: title, title, archived: false, message_id: null, role: null, excerpt: title, updated_at: 0 });
  beforeEach(() => void vi.useFakeTimers());

  it('waits for a pause and asks once', async () => {
    const asked: string[] = [];
    const search = new Search(async (words) => (asked.push(words), [hit(words)]));
    for (const words of ['h', 'he', 'her ']) search.seek(words);
    await vi.runAllTimersAsync();
    expect(asked).toEqual(['her']);
    expect([search.state, search.answered, search.hits[0]?.title]).toEqual(['found', 'her', 'her']);
  });

  it('an answer to older words that comes late counts no more', async () => {
    const answer: Record<string, (hits: Hit[]) => void> = {};
    const search = new Search((words) => new Promise((resolve) => (answer[words] = resolve)));
    search.seek('old');
    await vi.runAllTimersAsync();
    search.seek('new');
    await vi.runAllTimersAsync();
    answer['new']?.([hit('new')]);
    answer['old']?.([hit('old')]);
    await vi.runAllTimersAsync();
    expect([search.answered, search.hits.map((each) => each.title)]).toEqual(['new', ['new']]);
  });

  it('without words nothing is asked, and what was found is gone', async () => {
    const search = new Search(async (words) => [hit(words)]);
    search.seek('a');
    await vi.runAllTimersAsync();
    search.seek('  ');
    expect([search.state, search.answered, search.hits]).toEqual(['idle', '', []]);
  });

  it('says that it failed, and finds again', async () => {
    let fails = true;
    const search = new Search(async (words) => {
      if (fails) throw new ApiError(0, '');
      return [hit(words)];
    });
    search.seek('a');
    await vi.runAllTimersAsync();
    expect([search.state, search.hits]).toEqual(['failed', []]);
    fails = false;
    search.seek('a', 0);
    await vi.runAllTimersAsync();
    expect(search.state).toBe('found');
  });
});

describe('a list of chats in pages', () => {
  const unpinned = (): ChatPages => new ChatPages({ pinned: false }, (each) => !each.pinned);
  let house: ChatSummary[];
  beforeEach(() => {
    house = [];
    vi.stubGlobal('fetch', async (path: string) => {
      const query = new URLSearchParams(path.split('?')[1]);
      const after = Number(query.get('cursor') ?? 0);
      const chats = house.slice(after, after + Number(query.get('limit')));
      const next = after + chats.length < house.length ? String(after + chats.length) : null;
      return new Response(JSON.stringify({ chats, next }));
    });
  });
  const ids = (pages: ChatPages): string[] => pages.chats.map((each) => each.id);

  it('grows page by page, each chat once', async () => {
    house = Array.from({ length: 120 }, (_, at) => chat(`c${at}`, 1000 - at));
    const pages = unpinned();
    await pages.load();
    expect([pages.chats.length, pages.more]).toEqual([50, true]);
    await pages.loadMore();
    await pages.loadMore();
    expect([new Set(ids(pages)).size, pages.chats.length, pages.more]).toEqual([120, 120, false]);
    house = house.slice(1);
    await pages.load();
    expect(ids(pages)[0]).toBe('c1');
    expect(pages.chats.length).toBe(119);
  });

  it('takes a chat into its place, and lets go of one that does not fit any more', async () => {
    house = [chat('a', 30), chat('b', 20), chat('c', 10)];
    const pages = unpinned();
    await pages.load();
    pages.put(chat('c', 25));
    pages.put(chat('new', 40));
    expect(ids(pages)).toEqual(['new', 'a', 'c', 'b']);
    pages.put(chat('a', 30, { pinned: true }));
    expect(ids(pages)).toEqual(['new', 'c', 'b']);
    pages.remove('b');
    expect(ids(pages)).toEqual(['new', 'c']);
  });

  it('a chat older than all that have been loaded comes with its own page', async () => {
    house = Array.from({ length: 60 }, (_, at) => chat(`c${at}`, 1000 - at));
    const pages = unpinned();
    await pages.load();
    pages.put(chat('c55', 945));
    expect(ids(pages)).not.toContain('c55');
    await pages.loadMore();
    expect(ids(pages).filter((each) => each === 'c55')).toHaveLength(1);
  });
});

describe('folders', () => {
  it('are a tree in the order of their names, numbers by their size', () => {
    const all = [folder('b', null, 'Week 10'), folder('a', null, 'Week 9'), folder('c', 'b', 'inner'), folder('d', 'c', 'deep')];
    expect(treeOf(all, 'en').map(({ folder: each, depth }) => [each.id, depth])).toEqual([['a', 0], ['b', 0], ['c', 1], ['d', 2]]);
  });

  it('cannot be moved into themselves: what lies inside is left out with them', () => {
    const all = [folder('a'), folder('b', 'a'), folder('c')];
    expect(treeOf(all, 'en', 'a').map((each) => each.folder.id)).toEqual(['c']);
  });

  it('remember which of them are open', () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) } as Storage;
    const folders = new Folders(storage);
    folders.setOpen('a', true);
    folders.setOpen('b', true);
    folders.setOpen('a', false);
    const again = new Folders(storage);
    expect([again.isOpen('a'), again.isOpen('b')]).toEqual([false, true]);
  });

  it.each(['{', '7', '[1, null]'])('%s in the storage is no reason to fail', (text) => {
    expect(new Folders({ getItem: () => text } as unknown as Storage).isOpen('a')).toBe(false);
  });
});

describe('an import', () => {
  const job = (values: Partial<ImportJob>): ImportJob => ({
    id: 'i', state: 'reading', format: null, done: 0, total: null, chats: 0, prompts: 0, files: 0, error: null, code: null, values: {}, ...values,
  });
  const file = new File(['{}'], 'chats.json');
  const made = (answers: (ImportJob | ApiError)[], running: ImportJob[] = []) => {
    const next = async (): Promise<ImportJob> => {
      const answer = answers.shift();
      if (!answer || answer instanceof ApiError) throw answer ?? new Error('asked too often');
      return answer;
    };
    const done = vi.fn();
    const importing = new Importing({ startImport: next, getImport: next, listImports: async () => running }, done, async () => undefined);
    return { importing, done };
  };

  it('is followed to its end', async () => {
    const { importing, done } = made([job({}), job({ state: 'saving', total: 3, done: 1 }), job({ state: 'done', chats: 3 })]);
    await importing.start(file);
    expect([importing.phase, importing.job?.chats, done.mock.calls.length]).toEqual(['done', 3, 1]);
  });

  it('outlives a server that does not answer for a moment', async () => {
    const { importing } = made([job({}), new ApiError(502, ''), new ApiError(0, ''), job({ state: 'done', chats: 1 })]);
    await importing.start(file);
    expect(importing.phase).toBe('done');
  });

  it.each([
    ['of the file', [job({}), job({ state: 'failed', error: 'Not JSON.' })], 'Not JSON.'],
    ['of the call', [new ApiError(413, 'Too large')], null],
  ] as const)('tells of a failure %s, and nothing has come in', async (_, answers, sentence) => {
    const { importing, done } = made([...answers]);
    await importing.start(file);
    expect([importing.phase, importing.job?.error ?? null, done.mock.calls.length]).toEqual(['failed', sentence, 0]);
    expect(importing.error === null).toBe(sentence !== null);
  });

  it('that runs already is taken up', async () => {
    const { importing } = made([job({ state: 'done', chats: 2 })], [job({ state: 'saving' })]);
    await importing.resume();
    expect([importing.phase, importing.job?.chats]).toEqual(['done', 2]);
  });
});
