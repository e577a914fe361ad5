import { describe, expect, it } from 'vitest';
import type { TemporaryQuestion } from '../../src/workspace/api/asking';
import type { Message, Started } from '../../src/workspace/api/types';
import { TemporaryChat } from '../../src/workspace/state/sources';

const text = (words: string) => ({ type: 'text', text: words }) as const;

/** A server that gives answers a1, a2… and remembers what it was asked. */
function house() {
  const asked: TemporaryQuestion[] = [];
  let made = 0;
  const ask = (question: TemporaryQuestion): Promise<Started> => {
    asked.push(question);
    const generations = question.models.map((model) => {
      const id = `a${++made}`;
      const message = { id, role: 'assistant', model, status: 'streaming', parts: [] } as unknown as Message;
      return { id: `run-${id}`, model, message };
    });
    return Promise.resolve({ question: null, generations });
  };
  return { asked, chat: new TemporaryChat(ask) };
}
const common = { models: ['m'], params: {} };
const words = (question: TemporaryQuestion) =>
  question.messages.map(({ role, parts }) => `${role}: ${parts.map((part) => ('text' in part ? part.text : part.file_id)).join('+')}`);

async function answer(chat: TemporaryChat, id: string, said: string): Promise<void> {
  const { messages } = await chat.page({ leaf: id });
  const message = messages.at(-1);
  if (!message) throw new Error('no such message');
  chat.note({ ...message, parts: [{ type: 'reasoning', text: 'hm' }, text(said)], status: 'done', generation: null });
}

describe('a temporary chat', () => {
  it('sends the branch, without thoughts, and shows it', async () => {
    const { chat, asked } = house();
    const file = { type: 'file', file_id: 'f', name: 'a.txt', tokens: 3 } as const;
    const started = await chat.generate({ parent_id: null, parts: [file, text('one')], ...common });
    await answer(chat, 'a1', 'first');
    await chat.generate({ parent_id: started.generations[0]?.message.id ?? null, parts: [text('two')], ...common });
    expect(asked.map(words)).toEqual([['user: f+one'], ['user: f+one', 'assistant: first', 'user: two']]);
    expect(asked[0]?.messages[0]?.parts[0]).toEqual({ type: 'file', file_id: 'f' });
    expect((await chat.page({})).messages.map((each) => each.id)).toEqual(['question-1', 'a1', 'question-2', 'a2']);
    expect(chat.files).toEqual(['f']);
  });

  it('has versions of questions and answers, and ways back to them', async () => {
    const { chat, asked } = house();
    await chat.generate({ parent_id: null, parts: [text('one')], ...common });
    await chat.generate({ parent_id: 'question-1', parts: null, ...common });
    expect(words(asked[1] as TemporaryQuestion)).toEqual(['user: one']);
    await chat.generate({ parent_id: null, parts: [text('other')], ...common });
    const shown = (await chat.page({})).messages;
    expect(shown.map((each) => [each.id, each.siblings])).toEqual([
      ['question-2', ['question-1', 'question-2']],
      ['a3', ['a3']],
    ]);
    const back = (await chat.page({ leaf: 'question-1' })).messages;
    expect(back.map((each) => [each.id, each.siblings.length])).toEqual([['question-1', 2], ['a2', 2]]);
    await chat.showTo('a1');
    expect((await chat.page({})).messages.map((each) => each.id)).toEqual(['question-1', 'a1']);
  });

  it('goes to another version when the shown one is deleted', async () => {
    const { chat } = house();
    await chat.generate({ parent_id: null, parts: [text('one')], ...common });
    await chat.generate({ parent_id: null, parts: [text('two')], ...common });
    await chat.delete('question-2');
    expect((await chat.page({})).messages.map((each) => each.id)).toEqual(['question-1', 'a1']);
    await chat.delete('question-1');
    expect((await chat.page({})).messages).toEqual([]);
  });

  it('keeps nothing of a question that the server refused', async () => {
    const chat = new TemporaryChat(() => Promise.reject(new Error('no')));
    await expect(chat.generate({ parent_id: null, parts: [text('one')], ...common })).rejects.toThrow();
    expect((await chat.page({})).messages).toEqual([]);
  });
});
